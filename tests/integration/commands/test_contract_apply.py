"""`gatekeeper contract plan` and `apply` with the local BigQuery."""

import json
from pathlib import Path

import pytest

from ops.commands.__main__ import main
from ops.commands.contract.live_table import read_live_table
from ops.rig import free_port
from ops.runtime import clients
from ops.runtime.settings import Settings
from tests.support.contracts import column, contract_text

type Output = pytest.CaptureFixture[str]

FIRST = (
    column("id", "INTEGER", primaryKey=True, description='The "number"'),
    column("item", "TEXT", required=True),
    column("price", "DECIMAL(10,2)"),
    column("placed_at", "TIMESTAMP", partitioned=True),
)
CUSTOM = {
    "mode": "freeze",
    "clustering": ["item"],
    "partitionGranularity": "MONTH",
    "partitionExpirationDays": 400,
    "labels": {"team": "shop"},
}


@pytest.fixture(autouse=True)
def file(settings: Settings, tmp_path: Path, capsys: Output) -> Path:
    assert settings.local
    assert main(["provision"]) == 0
    capsys.readouterr()
    file = tmp_path / "orders.yaml"
    file.write_text(contract_text("orders", *FIRST, custom=CUSTOM))
    return file


def test_a_table_is_made_once_and_then_there_is_nothing_to_do(
    file: Path, capsys: Output, settings: Settings
) -> None:
    assert main(["contract", "plan", str(file)]) == 1
    assert capsys.readouterr().out.startswith("CREATE TABLE IF NOT EXISTS `")
    assert main(["contract", "apply", "--yes", str(file)]) == 0
    assert "done: 1 statements" in capsys.readouterr().out
    for command in (["plan"], ["apply"]):
        assert main(["contract", *command, str(file)]) == 0
        assert capsys.readouterr().out == "nothing to do: 1 tables are as their contracts say\n"
    live = read_live_table(clients.warehouse(settings), f"{settings.dataset_path}.orders")
    assert live is not None
    assert [each[1:] for each in live.columns] == [
        ("INT64", True, 'The "number"'),
        ("STRING", True, ""),
        ("NUMERIC(10,2)", False, ""),
        ("TIMESTAMP", False, ""),
    ]
    assert live[2:] == ({"team": "shop"}, ("placed_at", "MONTH"), 400.0, ("item",), ("id",))


def test_columns_of_every_type_are_made_once(file: Path, capsys: Output) -> None:
    kinds = "TEXT BIGINT DOUBLE BOOL DECIMAL DECIMAL(10) NUMERIC(38,20) DECIMAL(35) DATE TIME"
    kinds += " DATETIME TIMESTAMPTZ JSONB BINARY(4)"
    columns = (column(f"c{place}", kind) for place, kind in enumerate(kinds.split()))
    file.write_text(contract_text("orders", *columns))
    assert main(["contract", "apply", "--yes", str(file)]) == 0
    capsys.readouterr()
    assert main(["contract", "plan", str(file)]) == 0
    assert capsys.readouterr().out == "nothing to do: 1 tables are as their contracts say\n"


def test_a_table_is_altered_to_its_new_contract_and_keeps_its_rows(
    file: Path, capsys: Output
) -> None:
    assert main(["contract", "apply", "--yes", str(file)]) == 0
    insert = "INSERT INTO orders (id, item, price) VALUES (1, 'pear', 1.5)"
    assert main(["query", insert]) == 0
    changed = contract_text(
        "orders",
        column("id", "INTEGER", primaryKey=True, description="Its number"),
        column("item", "TEXT", primaryKey=True, description="The article"),
        column("price", "DECIMAL(12,2)"),
        column("placed_at", "TIMESTAMP", partitioned=True),
        column("note", "TEXT", description="Of the customer"),
        column("size", "INTEGER"),
        custom={**CUSTOM, "mode": "report", "partitionExpirationDays": 30, "labels": {"a": "b"}},
        version="3.0.0",
    )
    file.write_text(changed)
    assert main(["contract", "apply", "--yes", str(file)]) == 0
    capsys.readouterr()
    assert main(["contract", "plan", str(file)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    rows = "SELECT id, item, price, note, size FROM orders"
    assert main(["query", "--json", rows]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["id"], row["item"], row["note"], row["size"]) == (1, "pear", None, None)


def test_what_cannot_be_altered_is_in_the_json_and_the_rest_is_done(
    file: Path, capsys: Output
) -> None:
    assert main(["query", "CREATE TABLE orders (id INT64, price STRING)"]) == 0
    capsys.readouterr()
    assert main(["contract", "apply", "--yes", "--json", str(file)]) == 1
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert [each["column"] for each in table["refusals"]] == ["item", "price", "placed_at", ""]
    assert main(["contract", "plan", "--json", str(file)]) == 1
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert table["statements"] == []
    assert len(table["refusals"]) == 4


def test_without_a_yes_nothing_is_changed(
    file: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.commands.contract.planning.agreed", lambda *_, **__: False)
    assert main(["contract", "apply", str(file)]) == 1
    assert "nothing is changed" in capsys.readouterr().err
    assert main(["contract", "plan", str(file)]) == 1


def test_an_unreachable_warehouse_is_one_line(
    file: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    assert main(["contract", "plan", str(file)]) == 1
    assert "BigQuery does not answer at" in capsys.readouterr().err


def test_a_plan_has_nothing_to_do_for_the_contract_inferred_from_a_table(
    file: Path, capsys: Output, tmp_path: Path
) -> None:
    assert main(["contract", "apply", "--yes", str(file)]) == 0
    capsys.readouterr()
    assert main(["contract", "infer", "orders"]) == 0
    text = capsys.readouterr().out
    inferred = tmp_path / "inferred.yaml"
    inferred.write_text(text.replace("value: report", "value: freeze"))
    assert main(["contract", "plan", str(inferred)]) == 0
    assert main(["contract", "infer", "none"]) == 1
    assert "there is no table" in capsys.readouterr().err
