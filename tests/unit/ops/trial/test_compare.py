"""Each kind of defect in an otherwise correct state is counted as that kind."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from ops.trial.audit_report import DEFECTS
from ops.trial.compare import compare, compare_ids
from ops.trial.comparison import Evidence, LedgerRow
from ops.trial.expected import RowName
from ops.trial.journal import Foreign, History, Sent, SentKey

if TYPE_CHECKING:
    from ops.trial.model import ModelRow

STREAM = "s"
TYPES = {"stream": "STRING", "n": "INT64", "k": "INT64"}


def _columns(**values: Any) -> dict[str, Any]:
    given = {"stream": STREAM, **values}
    return {
        "col_names": list(given),
        "col_types": ["TEXT" if isinstance(each, str) else "INTEGER" for each in given.values()],
        "col_values": list(given.values()),
    }


def insert(table: str, **values: Any) -> dict[str, Any]:
    return {"operation": "insert", "table": table, **_columns(**values)}


def delete(table: str, **values: Any) -> dict[str, Any]:
    return {"operation": "delete", "table": table, "value_to_delete": _columns(**values)}


class State:
    """A journal of one stream, and the evidence of a fleet that did everything right."""

    def __init__(self) -> None:
        self.history = History({STREAM: []})
        self.ledger: dict[SentKey, list[LedgerRow]] = {}
        self.types: dict[str, dict[str, str]] = {}
        self.rows: dict[RowName, list[ModelRow]] = {}
        self.letters: dict[SentKey, set[str]] = {}
        self.backlog = 0
        self.adopted = 0

    def sent(
        self,
        *activities: dict[str, Any],
        reason: str | None = None,
        status: int | None = 200,
        id_: str = "",
    ) -> SentKey:
        """Send a transaction, applied unless a reason is given."""
        stream = self.history.streams[STREAM]
        data = json.dumps({"activities": activities}).encode()
        digest = sha256(data).hexdigest()
        number = len(stream)
        sent = Sent(STREAM, number, "test", id_ or f"id{number}", digest, data, status)
        stream.append(sent)
        if status == 200:
            state = "rejected" if reason else "applied"
            self.ledger[sent.key] = [LedgerRow(state, reason, f"2026-01-01 00:00:{number:02d}")]
            if reason:
                self.letters[sent.key] = {reason}
        return sent.key

    def row(self, table: str, n: int, k: int | None = None) -> RowName:
        """Put a row in place."""
        name = table, STREAM, str(n)
        values: ModelRow = {"stream": STREAM, "n": str(n), "k": None if k is None else str(k)}
        self.rows.setdefault(name, []).append(values)
        self.types.setdefault(table, dict(TYPES))
        return name

    def counts(self) -> dict[str, int]:
        """Return the counts of defects that are not 0."""
        evidence = Evidence(self.ledger, self.types, self.rows, self.letters, self.backlog)
        verdict = compare(self.history, evidence)
        self.adopted = verdict.adopted
        found = {defect: verdict.count(defect) for defect in DEFECTS}
        if verdict.unsettled:
            found["unsettled"] = verdict.unsettled
        assert verdict.clean == (not any(found.values()))
        return {defect: count for defect, count in found.items() if count}


@pytest.fixture
def state() -> State:
    """Five transactions: two rows; one updated; a delete; one rejected; one of two tables."""
    right = State()
    right.sent(insert("t", n=1, k=1), insert("t", n=2, k=2))
    right.sent(delete("t", k=1), insert("t", n=3, k=1))
    right.sent(delete("t", k=2))
    right.sent(insert("t", n=4, k=4), delete("ghost", k=1), reason="table_missing")
    right.sent(insert("t", n=5, k=5), insert("u", n=6, k=6))
    right.row("t", 3, 1)
    right.row("t", 5, 5)
    right.row("u", 6, 6)
    return right


def _key(state: State, number: int) -> SentKey:
    return state.history.streams[STREAM][number].key


def _settled(state: State, number: int, at: str) -> None:
    (row,) = state.ledger[_key(state, number)]
    state.ledger[_key(state, number)] = [row._replace(settled_at=at)]


def test_a_correct_state_has_no_defect(state: State) -> None:
    assert state.counts() == {}


def test_a_transaction_without_a_ledger_row_is_lost_or_unsettled(state: State) -> None:
    del state.ledger[_key(state, 4)], state.rows["t", STREAM, "5"], state.rows["u", STREAM, "6"]
    del state.types["u"]
    assert state.counts() == {"lost": 1}
    state.backlog = 3
    assert state.counts() == {"unsettled": 1}


def test_an_applied_transaction_without_any_effect_is_lost(state: State) -> None:
    del state.rows["t", STREAM, "5"], state.rows["u", STREAM, "6"]
    assert state.counts() == {"lost": 1}


def test_a_delete_without_effect_is_lost(state: State) -> None:
    state.row("t", 2, 2)
    assert state.counts() == {"lost": 1}


def test_a_rejection_that_nothing_explains_is_lost(state: State) -> None:
    key = _key(state, 4)
    state.ledger[key] = [state.ledger[key][0]._replace(state="rejected", reason="too_large")]
    state.letters[key] = {"too_large"}
    del state.rows["t", STREAM, "5"], state.rows["u", STREAM, "6"], state.types["u"]
    assert state.counts() == {"lost": 1}


@pytest.mark.parametrize("reasons", [set(), {"type_conflict"}])
def test_a_missing_or_wrong_dead_letter_is_lost(state: State, reasons: set[str]) -> None:
    state.letters[_key(state, 3)] = reasons
    assert state.counts() == {"lost": 1}


def test_two_ledger_rows_or_two_copies_of_a_row_are_a_duplicate(state: State) -> None:
    state.row("t", 3, 1)
    assert state.counts() == {"duplicated": 1}
    state.ledger[_key(state, 4)] *= 2
    state.row("u", 6, 6)
    assert state.counts() == {"duplicated": 2}


def test_two_bodies_applied_under_one_id_are_a_duplicate(state: State) -> None:
    state.sent(insert("t", n=7, k=7), id_="id4")
    state.row("t", 7, 7)
    assert state.counts() == {"duplicated": 1}


def test_an_applied_transaction_with_a_dead_letter_is_a_duplicate(state: State) -> None:
    state.letters[_key(state, 0)] = {"type_conflict"}
    assert state.counts() == {"duplicated": 1}


def test_some_but_not_all_of_a_transaction_is_partial(state: State) -> None:
    del state.rows["u", STREAM, "6"]
    assert state.counts() == {"partial": 1}


def test_an_update_that_only_inserted_is_partial(state: State) -> None:
    state.row("t", 1, 1)
    assert state.counts() == {"partial": 1}


def test_a_row_with_another_value_is_partial(state: State) -> None:
    state.rows["t", STREAM, "5"][0]["k"] = "6"
    assert state.counts() == {"partial": 1}


def test_a_row_of_a_rejected_transaction_is_partial(state: State) -> None:
    state.row("t", 4, 4)
    assert state.counts() == {"partial": 1}


def test_a_row_without_its_ledger_row_is_partial(state: State) -> None:
    del state.ledger[state.sent(insert("t", n=7, k=7))]
    state.row("t", 7, 7)
    assert state.counts() == {"partial": 1}


def test_a_row_of_a_refused_transaction_is_partial(state: State) -> None:
    state.sent(insert("t", n=8, k=8), status=400)
    assert state.counts() == {}
    state.row("t", 8, 8)
    assert state.counts() == {"partial": 1}


@pytest.mark.parametrize("there", ["table", "column"])
def test_a_table_or_column_that_only_a_rejected_one_names_is_partial(
    state: State, there: str
) -> None:
    if there == "table":
        state.types["ghost"] = dict(TYPES)
    else:
        state.types["t"]["extra"] = "STRING"
    assert state.counts() == {"partial": 1}


def refused_by_warehouse(state: State, *activities: dict[str, Any]) -> None:
    """Send a transaction with a NULL for a required column."""
    columns = {"stream": "TEXT", "n": "INTEGER", "k": "INTEGER"}
    state.history.foreign.append(Foreign("strict", columns, ("k",)))
    state.types["strict"] = dict(TYPES)
    state.sent(*activities, insert("strict", n=99), reason="warehouse_rejected")


def test_an_empty_table_or_column_of_one_that_the_warehouse_refused_is_no_defect(
    state: State,
) -> None:
    refused_by_warehouse(state, insert("t", n=7, extra="x"), insert("left", n=8))
    state.types["t"]["extra"] = "STRING"
    state.types["left"] = {"stream": "STRING", "n": "INT64"}
    assert state.counts() == {}
    assert not state.adopted
    state.row("left", 8)
    assert state.counts() == {"partial": 1}


@pytest.mark.parametrize("maker_first", [True, False])
def test_a_delete_on_an_empty_table_that_was_left_behind_is_applied(
    state: State, *, maker_first: bool
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: refused_by_warehouse(state, insert("left", n=8)),
        lambda: state.sent(insert("t", n=9), delete("left", n=8)),
    ]
    for step in steps if maker_first else steps[::-1]:
        step()
    state.row("t", 9)
    state.types["left"] = {"stream": "STRING", "n": "INT64"}
    assert state.counts() == {}
    assert state.adopted == 1


def test_another_type_than_that_of_a_column_left_behind_is_a_conflict(state: State) -> None:
    refused_by_warehouse(state, insert("left", n=8, k="text"))
    state.sent(insert("left", n=9, k=1), reason="type_conflict")
    state.types["left"] = {"stream": "STRING", "n": "INT64", "k": "STRING"}
    assert state.counts() == {}
    assert state.adopted == 1


def test_a_delete_on_a_table_that_nothing_can_have_left_behind_is_out_of_order(
    state: State,
) -> None:
    state.sent(insert("left", n=8), delete("ghost", k=1), reason="table_missing")
    state.sent(insert("t", n=9), delete("left", n=8))
    state.row("t", 9)
    assert state.counts() == {"out_of_order": 1}


def test_a_row_that_nobody_sent_is_partial(state: State) -> None:
    state.row("t", 99, 9)
    assert state.counts() == {"partial": 1}


def test_a_settlement_before_that_of_an_earlier_one_is_out_of_order(state: State) -> None:
    _settled(state, 3, "2026-01-01 00:00:00")
    assert state.counts() == {"out_of_order": 1}


def test_a_row_that_a_later_one_deleted_in_the_same_batch_is_out_of_order(state: State) -> None:
    _settled(state, 1, "2026-01-01 00:00:00")
    _settled(state, 2, "2026-01-01 00:00:00")
    state.row("t", 2, 2)
    assert state.counts() == {"out_of_order": 1}


def test_two_updates_in_reverse_order_are_out_of_order(state: State) -> None:
    state.sent(delete("t", k=1), insert("t", n=9, k=1))
    _settled(state, 1, "2026-01-01 00:00:06")  # after the one that was just sent
    assert state.counts()["out_of_order"] >= 2


def _rejected_by_order(state: State) -> None:
    key = _key(state, 4)
    state.ledger[key] = [state.ledger[key][0]._replace(state="rejected", reason="table_missing")]
    state.letters[key] = {"table_missing"}
    del state.rows["t", STREAM, "5"], state.rows["u", STREAM, "6"], state.types["u"]


def _applied_by_order(state: State) -> None:
    key = _key(state, 3)
    state.ledger[key] = [state.ledger[key][0]._replace(state="applied", reason=None)]
    del state.letters[key]


@pytest.mark.parametrize("change", [_rejected_by_order, _applied_by_order])
def test_an_outcome_that_only_another_order_explains_is_out_of_order(
    state: State, change: Callable[[State], None]
) -> None:
    change(state)
    assert state.counts() == {"out_of_order": 1}


def test_a_lost_answer_counts_as_accepted_when_the_ledger_has_it(state: State) -> None:
    key = state.sent(insert("t", n=7, k=7), status=None)
    assert state.counts() == {}
    state.ledger[key] = [LedgerRow("applied", None, "2026-01-01 00:00:59")]
    state.row("t", 7, 7)
    assert state.counts() == {}


def test_a_column_or_table_of_someone_else_is_no_defect(state: State) -> None:
    state.types["t"]["foreign_1"] = "STRING"
    state.types["made"] = {"stream": "STRING"}
    state.history.foreign.append(Foreign("made", {}, ()))
    assert state.counts() == {}


def test_a_null_in_a_required_column_must_be_rejected_by_the_warehouse(state: State) -> None:
    refused_by_warehouse(state)
    assert state.counts() == {}
    state.sent(insert("strict", n=11))
    assert state.counts() == {"partial": 1}


def test_a_list_of_ids_finds_lost_and_duplicated_ones() -> None:
    once = LedgerRow("applied", None, "1")
    ledger = {("a", "1"): [once], ("b", "1"): [once, once], ("c", "1"): [once], ("c", "2"): [once]}
    verdict = compare_ids(["a", "b", "c", "d", "a"], Evidence(ledger))
    assert verdict.counts() == {
        "accepted": 4,
        "applied": 3,
        "rejected": {},
        "adopted": 0,
        "unsettled": 0,
        "lost": 1,
        "duplicated": 2,
        "partial": 0,
        "out_of_order": 0,
    }


def test_a_list_of_ids_finds_missing_dead_letters() -> None:
    ledger = {("a", "1"): [LedgerRow("rejected", "table_missing", "1")]}
    assert compare_ids(["a"], Evidence(ledger, letters={("a", "1"): {"table_missing"}})).clean
    assert compare_ids(["a"], Evidence(ledger, letters={})).count("lost") == 1


def update(table: str, match: dict[str, Any], **values: Any) -> dict[str, Any]:
    sets = {"col_names": list(values), "col_types": ["INTEGER"] * len(values)}
    matched = {"value_to_match": _columns(**match), **sets, "col_values": list(values.values())}
    return {"operation": "update", "table": table, **matched}


def upsert(table: str, **values: Any) -> dict[str, Any]:
    return {"operation": "upsert", "table": table, "key": ["stream", "n"], **_columns(**values)}


def test_rows_that_are_updated_and_upserted_have_no_defect(state: State) -> None:
    state.sent(update("t", {"n": 3}, k=9), upsert("t", n=5, k=7), upsert("t", n=8, k=8))
    state.row("t", 3, 9)
    state.row("t", 5, 7)
    state.row("t", 8, 8)
    del state.rows["t", STREAM, "3"][0], state.rows["t", STREAM, "5"][0]
    assert state.counts() == {}


@pytest.mark.parametrize("change", [update("t", {"n": 3}, k=9), upsert("t", n=3, k=9)])
def test_a_row_as_before_an_update_is_a_lost_update(state: State, change: dict[str, Any]) -> None:
    state.sent(change)
    assert state.counts() == {"lost": 1}


def test_a_row_that_an_upsert_brings_back_is_its_own(state: State) -> None:
    state.sent(upsert("t", n=4, k=4), upsert("t", n=2, k=2))
    state.row("t", 4, 4)
    state.row("t", 2, 2)
    assert state.counts() == {}
    del state.rows["t", STREAM, "4"], state.rows["t", STREAM, "2"]
    assert state.counts() == {"lost": 1}
