from pathlib import Path
from typing import get_type_hints

import pytest

from ops.runtime.given_settings import read_given
from ops.runtime.settings import DECLARATIONS, InvalidSettings, Settings


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def faults(dotenv: Path, **environ: str) -> list[str]:
    return read_given(DECLARATIONS, environ, dotenv).faults


def test_unknown_names_count_in_the_file_alone(dotenv: Path) -> None:
    assert faults(dotenv, PROJET_ID="p", HOME="/") == []
    dotenv.write_text("PROJET_ID=p\n")
    assert faults(dotenv) == [
        f"{dotenv} line 1: unknown setting 'PROJET_ID'; did you mean PROJECT_ID?"
    ]


@pytest.mark.parametrize(
    "name", ["DATASET_ID", "TOPIC_ID", "SUBSCRIPTION_ID", "GOOGLE_APPLICATION_CREDENTIALS"]
)
def test_a_cloud_setting_without_a_project_is_a_fault(dotenv: Path, name: str) -> None:
    dotenv.write_text(f"PORT=1\n{name}=sales\n")
    assert faults(dotenv) == [f"{dotenv} line 2: {name} is set, but PROJECT_ID is not"]
    assert faults(dotenv, PROJECT_ID="a-project") == []
    assert faults(dotenv, **{name: ""}) == [], "the environment has precedence"
    assert faults(dotenv, PUBSUB_EMULATOR_HOST="127.0.0.1:1"), "in another place"


def test_so_it_is_in_the_environment_but_for_googles_own_variable(dotenv: Path) -> None:
    assert faults(dotenv, TOPIC_ID="sales") == ["TOPIC_ID is set, but PROJECT_ID is not"]
    assert faults(dotenv, GOOGLE_APPLICATION_CREDENTIALS="/key.json") == []


def test_an_emulators_address_in_the_same_place_says_that_local_mode_is_meant(dotenv: Path) -> None:
    dotenv.write_text("DATASET_ID=sales\nBIGQUERY_EMULATOR_HOST=127.0.0.1:1\n")
    assert faults(dotenv) == []
    assert faults(dotenv, TOPIC_ID="sales", PUBSUB_EMULATOR_HOST="127.0.0.1:1") == []


def test_a_wrong_value_has_its_line(dotenv: Path) -> None:
    dotenv.write_text("\nPORT=abc\n")
    with pytest.raises(InvalidSettings, match=r"\.env line 2: PORT='abc': expected a whole number"):
        Settings.load({}, dotenv)


def test_relative_paths_start_at_the_files_folder(dotenv: Path) -> None:
    assert Settings.load({}, dotenv).state_dir == dotenv.parent / ".gatekeeper"
    dotenv.write_text("STATE_DIR=state\nAPI_KEYS_FILE=/etc/keys\n")
    settings = Settings.load({}, dotenv)
    assert settings.state_dir == dotenv.parent / "state"
    assert settings.api_keys_file == Path("/etc/keys")
    assert Settings.load({"STATE_DIR": "here"}, dotenv).state_dir == Path("here")
    assert Settings.load({}, Path(".env.example")).state_dir == Path(".gatekeeper")


def test_every_setting_that_is_a_path_starts_there(dotenv: Path) -> None:
    types = get_type_hints(Settings)
    paths = [name for name in DECLARATIONS if types[name.lower()] in {Path, Path | None}]
    assert "MESSAGE_KEY_FILE" in paths
    for name in paths:
        dotenv.write_text(f"{name}=own\n")
        assert read_given(DECLARATIONS, {}, dotenv).texts[name] == str(dotenv.parent / "own")
