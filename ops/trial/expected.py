"""The expected state: every stream replayed on the model, with the outcomes that it really had.

Where the ledger's outcome differs from the model's, the difference is noted and the replay goes on
with the ledger's, so that one defect is not counted again in everything that follows.

Workers never drop anything. A transaction that BigQuery refused, or a worker that died between DDL
and commit, may leave an empty table or column behind, which the next transaction adopts: a delete
on it finds nothing and is applied, another type is a conflict. An outcome that this explains is no
defect; `adopted` counts such outcomes. What the plan rejects leaves nothing behind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.trial.journal import ACCEPTED, History, Sent, SentKey
from ops.trial.model import Columns, Model, ModelDecision, ModelRow, Table
from schema import Activity, ColumnType, InvalidJSON, InvalidSchema, check_body, parse_type

SETUP = "setup"
REJECTED_BY_PLAN = {
    "table_missing",
    "column_missing",
    "type_conflict",
    "idempotency_conflict",
    "invalid_schema",
    "contract",
    "too_large",
}
"""Reasons that are found before any DDL."""
_EXPLAINED_BY_ADOPTION = {"table_missing", "column_missing", "type_conflict"}

type RowName = tuple[str, str, str]
"""A row that was inserted: table, stream and number."""


class Delete(NamedTuple):
    """A delete of an applied transaction: `at` is the transaction's place in its stream."""

    at: int
    key: SentKey
    table: str
    values: ModelRow


class Version(NamedTuple):
    """A row before the transaction that changed it."""

    row: ModelRow
    changed_by: SentKey


@dataclass
class Expected:
    """The right state. `inserted` has the rows of everything that was sent, applied or not."""

    decided: dict[SentKey, str | None] = field(default_factory=dict)
    """The model's outcome of each transaction: the reason of its rejection, or None."""
    place: dict[SentKey, int] = field(default_factory=dict)
    inserted: dict[RowName, SentKey] = field(default_factory=dict)
    present: dict[RowName, ModelRow] = field(default_factory=dict)
    deleted_by: dict[RowName, SentKey] = field(default_factory=dict)
    versions: dict[RowName, list[Version]] = field(default_factory=dict)
    """The earlier values of the rows that are present, in order."""
    deletes: dict[str, list[Delete]] = field(default_factory=dict)
    """By stream, in order."""
    columns: dict[str, dict[str, ColumnType]] = field(default_factory=dict)
    asked: dict[str, dict[str, ColumnType]] = field(default_factory=dict)
    """Tables and columns that may exist: `columns`, and what may be left behind."""
    adopted: int = 0
    """Outcomes that only a table or column left behind explains."""
    named: set[str] = field(default_factory=set)
    """Every table that a transaction or someone else named."""
    foreign: set[str] = field(default_factory=set)
    """Tables that someone else created or changed."""


def replay(history: History, outcomes: Mapping[SentKey, str | None]) -> Expected:
    """Replay a history; `outcomes` has the reason, or None for applied, of all that are settled."""
    expected = Expected()
    expected.foreign = {each.table for each in history.foreign}
    expected.named = set(expected.foreign)
    required = {each.table: set(each.required) for each in history.foreign if each.required}
    # Tables with a required column exist before the load; other foreign ones are like the load's.
    base = {each.table: _table(each.columns) for each in history.foreign if each.required}

    def warehouse_rejects(activity: Activity) -> bool:
        if activity.operation != "insert" or activity.table not in required:
            return False
        given = _values(activity)
        return any(given.get(name) is None for name in required[activity.table])

    for name in sorted(history.streams, key=lambda stream: stream != SETUP):
        model = Model(warehouse_rejects)
        model.tables = {table: each.copy() for table, each in base.items()}
        _replay_stream(history.streams[name], model, outcomes, expected)
        _add_state(model, expected)
        if name == SETUP:
            base |= {table: each.copy() for table, each in model.tables.items()}
            for table in base.values():
                table.rows = []
    return expected


def _table(columns: Mapping[str, str]) -> Table:
    table = Table()
    table.columns = {name.lower(): parse_type(declared) for name, declared in columns.items()}
    return table


def _values(activity: Activity) -> ModelRow:
    return dict(zip(activity.names, activity.values, strict=True))


def _replay_stream(
    sent: list[Sent], model: Model, outcomes: Mapping[SentKey, str | None], expected: Expected
) -> None:
    parsed = [(each, _activities(each.data)) for each in sent]
    asked = _asked(parsed, outcomes)
    for table, columns in asked.items():
        expected.asked.setdefault(table, {}).update(columns)
    for place, (each, activities) in enumerate(parsed):
        expected.named |= {activity.table for activity in activities}
        if each.key not in expected.place:
            for name in _inserted(activities):
                expected.inserted.setdefault(name, each.key)
        settled = each.status == ACCEPTED or each.key in outcomes
        if each.key in model.ledger or not settled:
            continue
        expected.place[each.key] = place
        decision = model.decide(each.id, each.data)
        if each.key in outcomes and decision.reason != outcomes[each.key]:
            again = model.decide(each.id, each.data, _named(asked, activities))
            reasons = {decision.reason, outcomes[each.key]}
            if again.reason == outcomes[each.key] and reasons & _EXPLAINED_BY_ADOPTION:
                decision = again
                expected.adopted += 1
        expected.decided[each.key] = decision.reason
        if decision.reason is None and outcomes.get(each.key, "") is None:
            _add_effects(each, activities, model, decision, expected)
        elif decision.reason is None:
            # Not applied, although it should have been: the replay goes on without it.
            decision = ModelDecision(outcomes.get(each.key, "lost"), {})
        model.settle(each.key, decision)


def _asked(
    parsed: list[tuple[Sent, tuple[Activity, ...]]], outcomes: Mapping[SentKey, str | None]
) -> dict[str, dict[str, ColumnType]]:
    """Return the tables and columns that a stream's transactions may have made."""
    asked: dict[str, dict[str, ColumnType]] = {}
    for each, activities in parsed:
        if outcomes.get(each.key) in REJECTED_BY_PLAN:
            continue
        for activity in activities:
            if activity.operation != "delete":
                columns = asked.setdefault(activity.table, {})
                for name, declared in zip(activity.names, activity.types, strict=True):
                    columns.setdefault(name.lower(), declared)
    return asked


def _named(
    asked: Mapping[str, Columns], activities: tuple[Activity, ...]
) -> dict[str, dict[str, ColumnType]]:
    """Return the part of what may be left behind that a transaction names."""
    named: dict[str, dict[str, ColumnType]] = {}
    for activity in activities:
        columns = asked.get(activity.table, {})
        names = (*activity.names, *(activity.match.names if activity.match else ()))
        found = {name.lower() for name in names} & columns.keys()
        if columns:
            named.setdefault(activity.table, {}).update({name: columns[name] for name in found})
    return named


def _activities(data: bytes) -> tuple[Activity, ...]:
    try:
        return tuple(check_body(data).activities)
    except (InvalidJSON, InvalidSchema):
        return ()


def _inserted(activities: tuple[Activity, ...]) -> Iterator[RowName]:
    for activity in activities:
        if activity.operation in {"insert", "upsert"}:
            yield _name(activity.table, _values(activity))


def _add_effects(
    sent: Sent,
    activities: tuple[Activity, ...],
    model: Model,
    decision: ModelDecision,
    expected: Expected,
) -> None:
    """Note the deletes of an applied transaction, and the rows that it changes."""
    place = expected.place[sent.key]
    for activity in activities:
        if activity.operation == "delete":
            delete = Delete(place, sent.key, activity.table, _values(activity))
            expected.deletes.setdefault(sent.stream, []).append(delete)
    changing = {each.table for each in activities if each.operation != "insert"}
    for table in changing & decision.tables.keys():
        before = model.tables[table].rows if table in model.tables else []
        _add_row_changes(sent.key, table, before, decision.tables[table].rows, expected)


def _add_row_changes(
    key: SentKey, table: str, before: list[ModelRow], after: list[ModelRow], expected: Expected
) -> None:
    rows = {_name(table, row): row for row in before}
    left = {_name(table, row): row for row in after}
    for name in rows.keys() - left.keys():
        expected.deleted_by[name] = key
        expected.versions.pop(name, None)
    for name, row in left.items():
        if name not in rows:  # an upsert may bring back a row that an earlier one inserted
            expected.inserted[name] = key
        elif rows[name] != row:
            expected.versions.setdefault(name, []).append(Version(rows[name], key))


def _name(table: str, row: ModelRow) -> RowName:
    return table, row.get("stream") or "", row.get("n") or ""


def _add_state(model: Model, expected: Expected) -> None:
    for name, table in model.tables.items():
        expected.columns.setdefault(name, {}).update(table.columns)
        expected.asked.setdefault(name, {}).update(table.columns)
        for row in table.rows:
            expected.present[_name(name, row)] = row
