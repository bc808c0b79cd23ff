"""What `gatekeeper.duplicate` of a contract makes of inserts, against plain rows."""

import asyncio
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import Activity, Reason, check_body, lane_of
from schema.contracts import Duplicate, TableContract
from tests.support.contracts import column, contract
from tests.support.deliveries import body, decoded, delete, insert, number, text, update, upsert
from tests.support.fake_warehouse import FakeWarehouse
from tests.support.plain_rows import Row, apply_activities, matches
from tests.support.strategies import cut, cuts
from workers.catalog import CatalogCache
from workers.commit import CommitSettings, Committer
from workers.decode import DecodedMessage
from workers.rejection_limit import RejectionLimit

LANE = 7
KEY = ("a", "b")
FIRST = insert("t", a=number(0), b=number(0), c=text("first"), d=number(None))


def _contract(duplicate: Duplicate, **fields: Any) -> TableContract:
    return contract(
        "t",
        column("A", "INTEGER", primaryKey=True, **fields),
        column("b", "INTEGER", primaryKey=True),
        column("c"),
        column("d", "INTEGER"),
        custom={"duplicate": str(duplicate)},
    )


def _committer(warehouse: Any, wanted: TableContract) -> Committer:
    catalog = CatalogCache(warehouse, max_age=math.inf)
    return Committer(
        warehouse, catalog, RejectionLimit(), CommitSettings("w", 32), lambda: {"t": wanted}
    )


def _always() -> float:
    return math.inf


_NUMBERS = st.sampled_from([0, 0, 1, 2, None]).map(number)
_KEYS = st.sampled_from([0, 1, 2]).map(number)
_TEXTS = st.sampled_from(["x", "y", None]).map(text)
_COLUMNS = {"a": _NUMBERS, "b": _NUMBERS, "c": _TEXTS, "d": _NUMBERS}


@st.composite
def _values(draw: st.DrawFn, *given_: str) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from("abcd"), min_size=0 if given_ else 1, unique=True))
    return {name: draw(_COLUMNS[name]) for name in dict.fromkeys((*given_, *names))}


@st.composite
def _activities(draw: st.DrawFn) -> dict[str, Any]:
    match draw(st.integers(0, 9)):
        case 0 | 1:
            return delete("t", **draw(_values()))
        case 2:
            return update("t", draw(_values()), **draw(_values()))
        case 3:
            values = {**draw(_values()), "a": draw(_KEYS), "b": draw(_KEYS)}
            return upsert("t", *draw(st.sampled_from([KEY, ("a",), ("b", "A")])), **values)
        case 4:
            return delete("t", a=draw(_KEYS), b=draw(_KEYS))
    return insert("t", **draw(_values("a", "b")))


def _model(duplicate: Duplicate, rows: list[Row], activities: tuple[Activity, ...]) -> bool:
    """Apply a transaction whole or not at all; return whether it was applied."""
    before = [dict(row) for row in rows]
    for activity in activities:
        given_ = dict(zip(activity.names, activity.values, strict=True))
        key = {name: given_.get(name) for name in KEY}
        is_insert = activity.operation == "insert" and None not in key.values()
        hits = [row for row in rows if matches(row, key)]
        if is_insert and hits and duplicate is Duplicate.REJECT:
            rows[:] = before
            return False
        if is_insert and hits and duplicate is Duplicate.UPSERT:
            rows[:] = [row | given_ if row in hits else row for row in rows]
        else:
            apply_activities(rows, [activity])
    return True


def _counted(rows: list[Row]) -> Counter[tuple[str | None, ...]]:
    return Counter(tuple(row.get(name) for name in "abcd") for row in rows)


@pytest.mark.parametrize("duplicate", Duplicate)
@given(st.lists(st.lists(_activities(), min_size=1, max_size=4), min_size=1, max_size=15), cuts(10))
@settings(max_examples=60)
def test_batches_leave_what_transactions_one_by_one_leave(
    duplicate: Duplicate, drawn: list[list[dict[str, Any]]], sizes: list[int]
) -> None:
    warehouse, rows = FakeWarehouse(), list[Row]()
    committer = _committer(warehouse, _contract(duplicate))
    for part in cut([[FIRST], *drawn], sizes):
        sent = [decoded(*activities) for activities in part]
        outcomes = asyncio.run(committer.settle(LANE, sent, _always))
        expected = [_model(duplicate, rows, check_body(body(*each)).activities) for each in part]
        assert [each.rejection is None for each in outcomes] == expected
        assert {e.rejection.reason for e in outcomes if e.rejection} <= {Reason.CONTRACT}
    assert _counted(warehouse.rows["t"]) == _counted(rows)


def _insert(a: int, **values: Any) -> dict[str, Any]:
    return insert("t", a=number(a), b=number(0), c=text("x"), **values)


def _errors(warehouse: FakeWarehouse, wanted: TableContract, *sent: DecodedMessage) -> list[str]:
    committer = _committer(warehouse, wanted)
    outcomes = asyncio.run(committer.settle(LANE, list(sent), _always))
    return [each.rejection.error if each.rejection else "" for each in outcomes]


def test_a_rejected_insert_is_named_by_contract_table_and_key_and_harms_no_neighbour() -> None:
    warehouse, wanted = FakeWarehouse(), _contract(Duplicate.REJECT)
    _errors(warehouse, wanted, decoded(_insert(1)))
    sent = [decoded(_insert(n % 50), insert("u", n=number(n))) for n in range(60)]

    errors = _errors(warehouse, wanted, *sent)

    assert [n for n, error in enumerate(errors) if error] == [1, *range(50, 60)]
    assert errors[1] == ("t has a row with A = 1, b = 0 already (contract t 2.1.0, team shop)")
    assert len(warehouse.rows["u"]) == 49
    assert len(warehouse.commits) == 1 + 2  # one failed by the key in the table


def test_a_key_that_is_not_public_is_not_in_the_error() -> None:
    wanted = _contract(Duplicate.REJECT, classification="restricted")

    _, error = _errors(FakeWarehouse(), wanted, decoded(_insert(1)), decoded(_insert(1)))

    assert error.startswith("t has a row with A = …, b = 0 already")


def test_scripts_on_a_table_with_unique_keys_change_the_head_of_the_tables_lane() -> None:
    for duplicate in Duplicate:
        warehouse = FakeWarehouse()
        _errors(warehouse, _contract(duplicate), decoded(_insert(1)))
        (script,) = warehouse.scripts
        assert script.settlement.locks == ([] if duplicate is Duplicate.ALLOW else [lane_of("t")])


def test_what_an_insert_as_an_upsert_leaves_out_stays() -> None:
    warehouse, wanted = FakeWarehouse(), _contract(Duplicate.UPSERT)
    _errors(warehouse, wanted, decoded(_insert(1, d=number(5))))
    _errors(warehouse, wanted, decoded(insert("t", a=number(1), b=number(0), c=text("new"))))

    assert warehouse.rows["t"] == [{"a": "1", "b": "0", "c": "new", "d": "5"}]
