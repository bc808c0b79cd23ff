from pathlib import Path

import pytest

from ops.runtime.fleet_files import find_dotenv, supervisord_conf

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_anywhere_the_repositorys_files_are_found() -> None:
    assert supervisord_conf({}) == ROOT / "supervisord.conf"
    assert find_dotenv({}) == ROOT / ".env"


def test_a_fleet_in_the_working_directory_is_the_nearest(tmp_path: Path) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text("[program:of_another_project]\n")
    assert supervisord_conf({}) == ROOT / "supervisord.conf"
    conf.write_text((ROOT / "supervisord.conf").read_text())
    assert supervisord_conf({}) == conf
    assert find_dotenv({}) == Path(".env")


def test_the_environment_names_another_fleet(tmp_path: Path) -> None:
    other = tmp_path / "other" / "supervisord.conf"
    other.parent.mkdir()
    other.touch()
    assert find_dotenv({"SUPERVISORD_CONF": "other/supervisord.conf"}) == other.with_name(".env")


def test_the_working_directorys_dotenv_is_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    assert find_dotenv({}) == Path(".env")


def test_where_no_fleet_is_installed_the_working_directory_is_the_place() -> None:
    assert find_dotenv({"SUPERVISORD_CONF": "missing.conf"}) == Path(".env")
