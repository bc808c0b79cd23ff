"""Scripts in GoogleSQL's evaluator leave the rows that the activities, one by one, leave."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.runtime.warehouse_errors import FENCED_TEXT, DuplicateKeys
from schema import (
    LEDGER_COLUMNS,
    REJECTED_COLUMNS,
    Activity,
    Rejection,
    check_body,
    parse_type,
)
from schema.contracts import with_primary_key
from tests.support.contracts import column, contract
from tests.support.deliveries import body, delete, delivery, insert, number, text
from tests.support.judge.analysis import Columns
from tests.support.judge.cells import cell_meaning, text_meaning
from tests.support.judge.engine import SqlRefused
from tests.support.judge.evaluator import AssertionFailed, EvaluatedDataset, EvaluatedTable
from tests.support.judge.statements import change_statements
from tests.support.plain_rows import Row, apply_activities
from tests.support.strategies import COLUMNS, activities
from workers import sql
from workers.change_sql import TableLayout
from workers.decode import DecodedMessage, decode
from workers.fold import fold
from workers.rejected_row import rejected_row

BASES = {name: parse_type(types[0]).base for name, (types, _) in COLUMNS.items()}
LANE: dict[str, Columns] = {
    "p.d.gatekeeper_lane_07": {
        "epoch": "INT64",
        "lanes": "INT64",
        "suspect": "STRING",
        "attempts": "INT64",
    },
    "p.d.gatekeeper_ledger_07": {column.name: column.type for column in LEDGER_COLUMNS},
    "p.d.gatekeeper_rejected_07": {column.name: column.type for column in REJECTED_COLUMNS},
}
SINCE = "2024-01-01 00:00:00+00:00"


def _fits(activity: Activity) -> bool:
    """Whether the columns have their usual types: the plan has rejected the others."""
    pairs = [*zip(activity.names, activity.types, strict=True)]
    if activity.match:
        pairs += zip(activity.match.names, activity.match.types, strict=True)
    return all(BASES[name.casefold()] == declared.base for name, declared in pairs)


def _counted(rows: list[list[Any]]) -> Counter[str]:
    return Counter(map(repr, rows))


@given(st.lists(st.lists(activities(("t",)), min_size=1, max_size=20), min_size=1, max_size=3))
@settings(max_examples=40)
def test_the_statements_leave_what_the_activities_leave(
    batches: list[list[dict[str, Any]]],
) -> None:
    dataset, rows = EvaluatedDataset({"p.d.t": BASES}), list[Row]()
    for batch in batches:
        checked = check_body(json.dumps({"activities": batch}).encode()).activities
        drawn = [activity for activity in checked if _fits(activity)]
        if not drawn:
            continue
        if changes := fold(drawn):
            dataset.run(*change_statements("p.d", changes))
        apply_activities(rows, drawn)

        evaluated = dataset.tables["p.d.t"].rows.values()
        assert _counted([[cell_meaning(cell) for cell in row] for row in evaluated]) == _counted(
            [[text_meaning(row.get(name), base) for name, base in BASES.items()] for row in rows]
        )


def _settlement(epoch: int, id_: str) -> sql.LaneSettlement:
    row = [id_, "applied", None, None, "s", "k", "lane-07", "h", "1", None, "w"]
    return sql.LaneSettlement(7, epoch, SINCE, [id_], [row])


def _script(epoch: int, id_: str) -> tuple[str, dict[str, str]]:
    drawn = check_body(body(delete("t", s=text("x")), insert("t", s=text("x"), n=number(1))))
    script = sql.script("p.d", fold(drawn.activities), _settlement(epoch, id_))
    return script.sql, script.parameters


@pytest.fixture
def lane() -> EvaluatedDataset:
    """A lane at epoch 1 with nothing settled, and a table."""
    dataset = EvaluatedDataset({**LANE, "p.d.t": {"s": "STRING", "n": "INT64"}})
    dataset.run("INSERT INTO `p.d.gatekeeper_lane_07` (epoch, lanes) VALUES (1, 32)", {})
    return dataset


def _values(dataset: EvaluatedDataset, table: str) -> list[list[Any]]:
    rows = dataset.tables[f"p.d.{table}"].rows.values()
    return [[cell_meaning(cell) for cell in row] for row in rows]


def test_a_script_changes_the_head_the_table_and_the_ledger(lane: EvaluatedDataset) -> None:
    lane.run(*_script(1, "a"))

    assert _values(lane, "gatekeeper_lane_07") == [[2, 32, None, None]]
    assert _values(lane, "t") == [["x", 1]]
    assert [row[:2] for row in _values(lane, "gatekeeper_ledger_07")] == [["a", "applied"]]


@pytest.mark.parametrize("data", [b'{"a": "\xc3\xa9\\u0001"}\n', b"\xff\0", b""])
def test_a_rejected_transaction_is_in_the_ledger_and_its_body_is_kept(
    lane: EvaluatedDataset, data: bytes
) -> None:
    message = decode(delivery(data, id="a"))
    assert message.rejection
    lane.run(*_rejecting(1, message, message.rejection))

    with pytest.raises(AssertionFailed, match=FENCED_TEXT):
        lane.run(*_rejecting(2, message, message.rejection))

    assert [row[:2] for row in _values(lane, "gatekeeper_ledger_07")] == [["a", "rejected"]]
    (row,) = _values(lane, "gatekeeper_rejected_07")
    found = dict(zip((each.name for each in REJECTED_COLUMNS), row, strict=True))
    assert (found["id"], found["body_bytes"]) == ("a", len(data))
    if found["raw"] is None:
        assert found["body"] == data.decode()
    else:
        assert (found["body"], found["raw"]) == (None, data)


def _rejecting(
    epoch: int, message: DecodedMessage, rejection: Rejection
) -> tuple[str, dict[str, str]]:
    settlement = _settlement(epoch, message.message.id)
    script = sql.script(
        "p.d",
        [],
        settlement._replace(
            rows=[["a", "rejected", *settlement.rows[0][2:]]],
            rejected=[rejected_row(message, rejection, "lane-07", "w")],
        ),
    )
    return script.sql, script.parameters


@pytest.mark.parametrize(("epoch", "id_"), [(1, "b"), (3, "b"), (2, "a")])
def test_a_script_with_an_old_epoch_or_a_settled_id_changes_nothing(
    lane: EvaluatedDataset, epoch: int, id_: str
) -> None:
    lane.run(*_script(1, "a"))
    before = {name: dict(table.rows) for name, table in lane.tables.items()}

    with pytest.raises(AssertionFailed, match=FENCED_TEXT):
        lane.run(*_script(epoch, id_))

    assert {name: table.rows for name, table in lane.tables.items()} == before


def test_a_lane_is_read_with_what_its_ledger_holds(lane: EvaluatedDataset) -> None:
    lane.run(*_script(1, "a"))
    asked = [lane.query(*sql.read_lane("p.d", 7, ids, SINCE)) for ids in (["a", "b"], ["b"])]

    ((found,), (nothing,)) = asked
    assert [cell_meaning(cell) for cell in found] == [2, 32, None, None, "a", "h", None, None]
    assert [cell_meaning(cell) for cell in nothing] == [2, 32, *[None] * 6]


def test_attempts_are_counted_for_one_transaction_in_a_row(lane: EvaluatedDataset) -> None:
    noted = []
    for epoch, id_ in enumerate(("a", "a", "b"), 1):
        lane.run(*sql.note_attempt("p.d", 7, epoch, id_))
        noted += _values(lane, "gatekeeper_lane_07")

    assert noted == [[2, 32, "a", 1], [3, 32, "a", 2], [4, 32, "b", 1]]
    with pytest.raises(AssertionFailed):
        lane.run(*sql.note_attempt("p.d", 7, 3, "b"))


def _numbered(*numbers: int) -> list[Activity]:
    """Return inserts whose key no row may have."""
    return [
        with_primary_key(activity, UNIQUE)
        for activity in check_body(
            body(*(insert("t", s=text(f"{each}"), n=number(each)) for each in numbers))
        ).activities
    ]


UNIQUE = contract("t", column("N", "INTEGER", primaryKey=True), column("s"))


@pytest.mark.parametrize("pruned_by", [(), ("n",)])
def test_a_script_that_inserts_a_key_of_a_row_fails_and_names_the_inserts(
    lane: EvaluatedDataset, pruned_by: tuple[str, ...]
) -> None:
    def run(*activities: Activity) -> None:
        layouts = {"t": TableLayout(pruned_by=pruned_by)}
        script = sql.script("p.d", fold(activities), _settlement(epoch, f"{epoch}"), layouts)
        lane.run(script.sql, script.parameters)

    epoch = 1
    run(*_numbered(1, 2, 3))
    epoch = 2
    before = {name: dict(table.rows) for name, table in lane.tables.items()}
    with pytest.raises(SqlRefused) as first:
        run(*_numbered(4, 3, 5, 1))
    by_text = check_body(body(delete("t", s=text("2")))).activities
    with pytest.raises(SqlRefused) as later:
        run(*by_text, *_numbered(2, 3))

    assert {name: table.rows for name, table in lane.tables.items()} == before
    found = [DuplicateKeys(str(each.value)) for each in (first, later)]
    assert [(each.at_begin, sorted(each.places)) for each in found] == [
        (True, [1, 3]),
        (False, [2]),
    ]
    run(*by_text, *_numbered(2, 4))
    assert sorted(_values(lane, "t")) == [[str(n), n] for n in (1, 2, 3, 4)]


def test_a_script_changes_the_heads_that_it_locks_and_not_their_epoch(
    lane: EvaluatedDataset,
) -> None:
    lane.tables["p.d.gatekeeper_lane_08"] = EvaluatedTable(LANE["p.d.gatekeeper_lane_07"], {})
    lane.run("INSERT INTO `p.d.gatekeeper_lane_08` (epoch, lanes) VALUES (5, 32)", {})
    (number_,) = lane.tables["p.d.gatekeeper_lane_08"].rows
    script = sql.script("p.d", [], _settlement(1, "a")._replace(locks=[8]))

    lane.run(script.sql, script.parameters)

    assert _values(lane, "gatekeeper_lane_08") == [[5, 32, None, None]]
    assert number_ not in lane.tables["p.d.gatekeeper_lane_08"].rows
