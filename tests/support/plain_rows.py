"""Activities, and folded changes, on plain lists of rows, in the simplest way."""

from collections.abc import Iterable

from schema import Activity
from workers.table_change import RowSet, TableChange

type Row = dict[str, str | None]
"""Values by the column's name without case; a column that is not named is NULL."""


def matches(row: Row, key: Row) -> bool:
    return all(row.get(name) == value for name, value in key.items())


def apply_activities(rows: list[Row], activities: Iterable[Activity]) -> None:
    """Apply activities on one table, one by one."""
    for activity in activities:
        values = _values(activity.names, activity.values)
        key = _values(activity.match.names, activity.match.values) if activity.match else values
        hits = [matches(row, key) for row in rows]
        pairs = list(zip(rows, hits, strict=True))
        if activity.operation == "insert" or (activity.operation == "upsert" and not any(hits)):
            rows.append(values)
        elif activity.operation == "delete":
            rows[:] = [row for row, hit in pairs if not hit]
        else:
            rows[:] = [row | values if hit else row for row, hit in pairs]


def apply_change(rows: list[Row], change: TableChange) -> None:
    """Do to rows what a change's statements do."""
    keys = [key for row_set in change.deletes for key in mappings(row_set)]
    before = [row for row in rows if not any(matches(row, key) for key in keys)]
    after = list(before)
    come = [row for row_set in change.inserts for row in mappings(row_set)]
    for each in change.update.rows if change.update else ():
        assert change.update
        key = dict(zip(change.update.key, each.key, strict=True))
        matched = [place for place, row in enumerate(before) if matches(row, key)]
        for place in matched:
            after[place] = {**after[place], **each.sets}
        if not matched and each.inserts is not None:
            come.append(key | {name: each.sets[name] for name in each.inserts})
    rows[:] = after + come


def duplicate_places(rows: list[Row], change: TableChange) -> list[int]:
    """Return the places of a change's checked keys that rows have."""
    if change.checks is None:
        return []
    keys = zip(mappings(change.checks.keys), change.checks.places, strict=True)
    return [place for key, place in keys if any(matches(row, key) for row in rows)]


def mappings(row_set: RowSet) -> list[Row]:
    """Return rows or keys by column."""
    return [dict(zip(row_set.columns, row, strict=True)) for row in row_set.rows]


def _values(names: Iterable[str], values: Iterable[str | None]) -> Row:
    return dict(zip((name.casefold() for name in names), values, strict=True))
