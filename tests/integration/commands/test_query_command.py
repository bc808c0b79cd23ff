import io
import json

import pytest

from ops.commands.__main__ import main
from ops.rig import free_port
from ops.runtime.settings import Settings


@pytest.fixture(autouse=True)
def provisioned(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Settings:
    assert main(["provision"]) == 0
    capsys.readouterr()
    return settings


def test_a_bare_table_name_is_a_table_of_the_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "CREATE TABLE orders (id INT64, at TIMESTAMP, price NUMERIC)"]) == 0
    insert = "INSERT INTO orders VALUES (1, TIMESTAMP '2026-01-02 03:04:05+00', 1.50), (2, NULL, 0)"
    assert main(["query", insert]) == 0
    capsys.readouterr()
    assert main(["query", "--json", "SELECT * FROM orders ORDER BY id"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [1, 2]
    assert rows[0]["at"] == "2026-01-02T03:04:05+00:00"
    assert float(rows[0]["price"]) == 1.5
    assert rows[1]["at"] is None


def test_the_statement_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS one"))
    assert main(["query", "--csv", "-"]) == 0
    assert capsys.readouterr().out.splitlines() == ["one", "1"]


@pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELEKT 1", "SELECT 1 / 0"])
def test_an_error_is_one_line_and_exit_status_1(
    sql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", sql]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("gatekeeper: ")
    assert len(printed.splitlines()) == 1


def test_an_unreachable_warehouse_is_reported_immediately(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", nobody)
    assert main(["query", "SELECT 1"]) == 1
    assert f"BigQuery does not answer at {nobody}: is the fleet running?" in capsys.readouterr().err
