from pathlib import Path
from unittest.mock import Mock

import pytest

from ops.runtime import metrics
from schema import check_body
from schema.contracts import ContractSet
from server.contracts import ContractGate, ViolationStore, contract_gate
from tests.support.contracts import column, contract
from tests.support.deliveries import body, insert, number, text, upsert


async def test_further_contracts_are_one_series_of_the_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract_gate, "MAX_SERIES", 2)
    tables = [f"series{number}" for number in range(4)]
    held = ContractSet([contract(name, column("a"), custom={"mode": "freeze"}) for name in tables])
    gate = ContractGate(Mock(current=held), ViolationStore(tmp_path / "v.sqlite"), 1_000_000)
    for name in tables:
        sent = body(insert(name, b=text("x")))
        assert gate.check(sent, check_body(sent), 100, is_sent=True)[0]
    await gate._write()
    counts = {
        labels["contract"]: sample.value
        for family in metrics.CONTRACT_VIOLATIONS.collect()
        for sample in family.samples
        if (labels := sample.labels)["rule"] == "contract_column"
    }
    assert counts["series0"] == counts["series1"] == 1
    assert counts["other"] == 2


def test_an_upsert_that_gets_no_key_is_refused_with_what_else_breaks_the_contract(
    tmp_path: Path,
) -> None:
    columns = column("id", "INTEGER", primaryKey=True), column("item", required=True)
    held = ContractSet([contract("orders", *columns, custom={"mode": "freeze"})])
    gate = ContractGate(Mock(current=held), ViolationStore(tmp_path / "v.sqlite"), 1_000_000)
    sent = body(upsert("u", a=number(1)), upsert("orders", id=number(1), itme=text("x")))
    faults, hidden = gate.check(sent, check_body(sent), 100, is_sent=False)
    assert hidden == b""
    assert [(each.pointer, each.rule) for each in faults] == [
        ("/activities/0/key", "required"),
        ("/activities/1/col_names/1", "contract_column"),
        ("/activities/1/col_names", "contract_required"),
    ]
    good = body(upsert("orders", id=number(1), item=text("x")))
    assert gate.check(good, check_body(good), 100, is_sent=False) == ([], good)
