"""What a history must come to: every stream replayed on the model, with the outcomes it really had.

Where the ledger's outcome differs from the model's, the difference is noted and the replay goes on
with the ledger's, so that one defect is not counted again in everything that follows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.trial.journal import History, Key, Sent
from ops.trial.model import Decision, Model, Row, Table
from schema import Activity, ColumnType, InvalidJSON, InvalidSchema, check_body, parse_type

SETUP = "setup"

type RowName = tuple[str, str, str]
"""A row that was inserted: table, stream and number."""


class Delete(NamedTuple):
    """A delete of an applied transaction: `at` is the transaction's place in its stream."""

    at: int
    key: Key
    table: str
    values: Row


@dataclass
class Expected:
    """The right state. `inserted` are all rows of all that was sent, whatever became of them."""

    decided: dict[Key, str | None] = field(default_factory=dict)
    """What the model makes of each transaction: the reason of its rejection, or None."""
    place: dict[Key, int] = field(default_factory=dict)
    inserted: dict[RowName, Key] = field(default_factory=dict)
    present: dict[RowName, Row] = field(default_factory=dict)
    deleted_by: dict[RowName, Key] = field(default_factory=dict)
    deletes: dict[str, list[Delete]] = field(default_factory=dict)
    """By stream, in order."""
    columns: dict[str, dict[str, ColumnType]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    """Every table that a transaction or someone else named."""
    foreign: set[str] = field(default_factory=set)
    """Tables that someone else has made or changed."""


def replay(history: History, outcomes: Mapping[Key, str | None]) -> Expected:
    """Replay a history; `outcomes` has the reason, or None for applied, of all that are settled."""
    expected = Expected()
    required = {each.table: set(each.required) for each in history.foreign if each.required}
    base: dict[str, Table] = {}
    for each in history.foreign:
        expected.foreign.add(each.table)
        expected.named.add(each.table)
        if each.required:  # made before the load; others are made in the load's own way
            base[each.table] = Table()
            base[each.table].columns = {
                name.lower(): parse_type(declared) for name, declared in each.columns.items()
            }

    def poisoned(activity: Activity) -> bool:
        lacking = required.get(activity.table)
        if not lacking or activity.operation != "insert":
            return False
        given = dict(zip(activity.names, activity.values, strict=True))
        return any(given.get(name) is None for name in lacking)

    for name in sorted(history.streams, key=lambda stream: stream != SETUP):
        model = Model(poisoned)
        model.tables = {table: each.copy() for table, each in base.items()}
        _replay_stream(history.streams[name], model, outcomes, expected)
        _keep(model, expected)
        if name == SETUP:
            base |= {table: each.copy() for table, each in model.tables.items()}
            for table in base.values():
                table.rows = []
    return expected


def _replay_stream(
    sent: list[Sent], model: Model, outcomes: Mapping[Key, str | None], expected: Expected
) -> None:
    for place, each in enumerate(sent):
        activities = _activities(each.data)
        expected.named |= {activity.table for activity in activities}
        if each.key not in expected.place:
            for name in _rows(activities):
                expected.inserted.setdefault(name, each.key)
        if each.key in model.ledger or (each.status != 200 and each.key not in outcomes):  # noqa: PLR2004
            continue
        expected.place[each.key] = place
        decision = model.decide(each.id, each.data)
        expected.decided[each.key] = decision.reason
        if decision.reason is None and outcomes.get(each.key, "") is None:
            _note_deletes(each, place, activities, model, decision, expected)
        elif decision.reason is None:
            # Not applied, although it should have been: the replay goes on without it.
            decision = Decision(outcomes.get(each.key, "lost"), {})
        model.settle(each.key, decision)


def _activities(data: bytes) -> tuple[Activity, ...]:
    try:
        return tuple(check_body(data).activities)
    except (InvalidJSON, InvalidSchema):
        return ()


def _rows(activities: tuple[Activity, ...]) -> list[RowName]:
    names = []
    for activity in activities:
        if activity.operation == "insert":
            row = dict(zip(activity.names, activity.values, strict=True))
            names.append((activity.table, row.get("stream") or "", row.get("n") or ""))
    return names


def _note_deletes(  # noqa: PLR0913, PLR0917  # the replay's own state
    sent: Sent,
    place: int,
    activities: tuple[Activity, ...],
    model: Model,
    decision: Decision,
    expected: Expected,
) -> None:
    touched = {each.table for each in activities if each.operation == "delete"}
    for activity in activities:
        if activity.operation == "delete":
            values = dict(zip(activity.names, activity.values, strict=True))
            delete = Delete(place, sent.key, activity.table, values)
            expected.deletes.setdefault(sent.stream, []).append(delete)
    for table in touched & decision.tables.keys() & model.tables.keys():
        left = {_name(table, row) for row in decision.tables[table].rows}
        for row in model.tables[table].rows:
            name = _name(table, row)
            if name not in left:
                expected.deleted_by[name] = sent.key


def _name(table: str, row: Row) -> RowName:
    return table, row.get("stream") or "", row.get("n") or ""


def _keep(model: Model, expected: Expected) -> None:
    for name, table in model.tables.items():
        expected.columns.setdefault(name, {}).update(table.columns)
        for row in table.rows:
            expected.present[_name(name, row)] = row
