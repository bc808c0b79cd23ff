import json
from pathlib import Path

import pytest

from ops.commands.__main__ import main
from tests.support.contracts import column, contract_text

LACK = "breaking changes without a new major version"


@pytest.fixture
def versions(tmp_path: Path) -> tuple[str, str]:
    """Two folders; in the second, a column is gone and one is new."""
    for name, columns in (("old", ["id", "item"]), ("new", ["id", "article"])):
        (tmp_path / name / ".hidden").mkdir(parents=True)
        (tmp_path / name / ".hidden" / "part.yaml").write_text("no: contract")
        text = contract_text("orders", *map(column, columns))
        (tmp_path / name / "orders.yaml").write_text(text)
    return str(tmp_path / "old"), str(tmp_path / "new")


def test_each_change_is_a_line_with_its_word(
    versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract", "diff", *versions]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "breaking   orders.item: the column is removed",
        "compatible orders.article: new column, STRING",
        f"version    orders: {LACK}: 2.1.0 → 2.1.0, 3.0.0 is expected",
    ]


def test_the_exit_status_is_1_if_wanted(versions: tuple[str, str]) -> None:
    old, new = versions
    assert main(["contract", "diff", "--fail-on", "breaking", old, new]) == 1
    assert main(["contract", "diff", "--fail-on", "breaking", old, old]) == 0


def test_json_has_the_same(versions: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "diff", "--json", *versions]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["breaking"] is True
    assert found["changes"][0] == {
        "table": "orders",
        "column": "item",
        "compatibility": "breaking",
        "message": "the column is removed",
    }
    assert len(found["versions"]) == 1


def test_one_file_may_be_compared_with_a_folder(
    versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    old, _ = versions
    assert main(["contract", "diff", f"{old}/orders.yaml", old]) == 0
    assert capsys.readouterr().out == "nothing has changed\n"


def test_faults_of_a_contract_are_listed_with_their_lines(
    tmp_path: Path, versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(contract_text("orders", column("id", "INTEGRE")))
    assert main(["contract", "diff", versions[0], str(file)]) == 1
    assert f"{file}:" in capsys.readouterr().err
    assert main(["contract", "diff", versions[0], str(tmp_path / "nowhere")]) == 1
    assert "No such file" in capsys.readouterr().err
