"""`gatekeeper contract infer` of sample files: its YAML passes lint and reads back the same."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.commands.__main__ import main
from ops.commands.contract.contract_lint import lint
from ops.commands.contract.inferred_contract import as_yaml
from ops.commands.contract.sample_inference import infer_from_samples
from ops.commands.contract.table_samples import TableSamples, add_transaction
from ops.fleet.config import ROOT
from schema import InvalidJSON, InvalidSchema, check, loads
from schema.contracts import Mode, TableContract
from schema.odcs import read_contracts
from tests.support.payloads import insert, lists, transaction, upsert
from tests.support.strategies import bodies

type Output = pytest.CaptureFixture[str]

ALL_OPERATIONS = """{"activities": [
  {"operation": "delete", "table": "table32",
   "value_to_delete": {"col_names": ["a", "c"], "col_types": ["INTEGER", "TEXT"],
                       "col_values": [1, "2018-03-27 11:58:28.988414"]}},
  {"operation": "insert", "table": "table32",
   "col_names": ["a", "c"], "col_types": ["INTEGER", "TEXT"],
   "col_values": [1, "2018-03-27 11:58:28.988414"]},
  {"operation": "update", "table": "table32",
   "value_to_match": {"col_names": ["a"], "col_types": ["INTEGER"], "col_values": [1]},
   "col_names": ["c"], "col_types": ["TEXT"], "col_values": ["later"]},
  {"operation": "upsert", "table": "table32", "key": ["a"],
   "col_names": ["a", "c"], "col_types": ["INTEGER", "TEXT"], "col_values": [1, "latest"]}
]}"""


@pytest.fixture
def inferred(tmp_path: Path, capsys: Output) -> Any:
    """Return a function that infers a contract of payloads, lints it and reads it."""

    def infer(*payloads: Any) -> tuple[str, list[TableContract]]:
        file = tmp_path / "samples.ndjson"
        file.write_text("".join(json.dumps(each) + "\n" for each in payloads))
        assert main(["contract", "infer", str(file)]) == 0
        contract = tmp_path / "contract.yaml"
        text = capsys.readouterr().out
        contract.write_text(text)
        found = lint([contract])
        assert not found.faults
        return text, found.contracts

    return infer


def with_guesses(text: str) -> str:
    """Return a contract with its guesses as rules."""
    return re.sub(r"# ((primaryKey|quality|partitioned): )", r"\1", text)


def test_a_contract_of_all_four_operations(inferred: Any) -> None:
    text, (contract,) = inferred(json.loads(ALL_OPERATIONS))
    assert (contract.table, contract.mode, contract.status) == ("table32", Mode.REPORT, "draft")
    assert [(each.name, each.declared, each.required) for each in contract.columns] == [
        ("a", "INTEGER", True),
        ("c", "TEXT", True),
    ]
    assert not contract.primary_key
    assert (
        "# guess: part of the key: 2 of 3 changes match on it\n        # primaryKey: true" in text
    )
    (read,) = read_contracts("x.yaml", with_guesses(text))
    assert read.primary_key == ("a",)


def test_contracts_of_the_readmes_transactions(inferred: Any) -> None:
    readme = (ROOT / "README.md").read_text()
    sent = [json.loads(each) for each in re.findall(r"-d '\s*(\{.*?\})'", readme, re.DOTALL)]
    valid = [each for each in sent if _is_valid(each)]
    assert len(valid) >= 2
    _, contracts = inferred(*valid)
    assert "orders" in [each.table for each in contracts]


def _is_valid(payload: Any) -> bool:
    try:
        check(payload)
    except InvalidSchema:
        return False
    return True


def test_a_table_of_300_columns(inferred: Any) -> None:
    kinds = [("INTEGER", 1), ("TEXT", "x"), ("DECIMAL(10,2)", "1.50"), ("DATE", "2024-02-29")]
    columns = [(f"col_{index}", *kinds[index % 4]) for index in range(300)]
    rows = [insert(**lists(*columns)), upsert(**lists(*columns), key=["col_0"])]
    text, (contract,) = inferred(transaction(*rows))
    assert [(each.name, each.declared) for each in contract.columns] == [
        (name, kind) for name, kind, _ in columns
    ]
    assert text.count("# partitioned: true") == 75


def test_several_tables_are_several_schema_objects_of_one_contract(inferred: Any) -> None:
    _, contracts = inferred(transaction(insert(), insert(table="t2")), transaction(upsert()))
    assert [each.table for each in contracts] == ["t1", "t2"]
    assert {each.contract for each in contracts} == {"samples"}


def test_guesses_become_rules_when_their_comment_sign_is_removed(inferred: Any) -> None:
    others = ("s", "TEXT", "'#: é"), ("d", "DATE", "2024-01-01")
    rows = [insert(**lists(("id", "UUID", f"{index}"), *others)) for index in range(40)]
    text, (before,) = inferred(transaction(*rows))
    assert (before.primary_key, before.partition, before.columns[1].enum) == ((), None, ())
    (after,) = read_contracts("x.yaml", with_guesses(text))
    assert after.primary_key == ("id",)
    assert after.partition is not None
    assert after.partition.column == "d"
    assert after.columns[1].enum == ("'#: é",)


def test_invalid_lines_are_left_out_and_counted(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "samples.ndjson"
    lines = [
        "{",
        json.dumps(transaction(insert(col_values=["x"]))),
        "",
        json.dumps(transaction(insert())),
    ]
    file.write_text("\n".join(lines))  # fmt: skip
    assert main(["contract", "infer", str(file)]) == 0
    out, error = capsys.readouterr()
    assert "name: t1" in out
    assert f"{file}:1: " in error
    assert f"{file}:2: /activities/0/col_values/0: INT64 takes a whole number" in error
    assert "2 invalid lines are left out" in error


@pytest.mark.parametrize("content", ["", "{}\n"])
def test_a_file_without_a_valid_transaction_fails(
    tmp_path: Path, content: str, capsys: Output
) -> None:
    (tmp_path / "samples.ndjson").write_text(content)
    assert main(["contract", "infer", str(tmp_path / "samples.ndjson")]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert "has no valid transaction" in error


def test_a_file_that_is_not_there_fails(capsys: Output) -> None:
    assert main(["contract", "infer", "none.ndjson"]) == 1
    assert "none.ndjson: No such file or directory" in capsys.readouterr().err


def test_json_has_the_document_and_the_guesses(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "samples.ndjson"
    file.write_text(json.dumps(json.loads(ALL_OPERATIONS)))
    assert main(["contract", "infer", "--json", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    (read,) = read_contracts("x.yaml", json.dumps(found["contract"]))
    assert [each.name for each in read.columns] == ["a", "c"]
    (guess,) = found["guesses"]
    assert (guess["table"], guess["column"], guess["field"]) == ("table32", "a", "primaryKey")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(bodies(("t1", "T1", "t2")), min_size=1, max_size=8))
def test_any_inferred_contract_reads_back_the_same(sent: list[bytes]) -> None:
    tables: dict[str, TableSamples] = {}
    for payload, checked in _valid(sent):
        add_transaction(tables, payload, checked)
    found = [infer_from_samples(name, samples) for name, samples in tables.items()]
    read = read_contracts("x.yaml", as_yaml("x", found)) if found else []
    assert [
        replace(each, contract=each.table, id=each.table, file="", line=0) for each in read
    ] == [each.contract for each in found]


def _valid(sent: list[bytes]) -> Iterator[tuple[Any, Any]]:
    for body in sent:
        try:
            payload = loads(body)
            yield payload, check(payload)
        except (InvalidJSON, InvalidSchema):
            continue
