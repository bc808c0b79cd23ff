"""The fold: a batch's activities, in order, brought to their net effect on each table.

A table's activities go into one phase as long as its statements can apply them all: see
`workers.fold_phase`. Inserts and deletes alone are always one, and so are activities that all match
on the same columns, as long as no update changes these. An update may join an earlier phase if it
commutes with those after it. Running the phases in order leaves the same rows as running the
activities one by one.

Pure: values are canonical texts (`schema.types.canonical`), equal exactly where SQL's values are.
The caller has seen to it that a column has one type throughout the batch, and each upsert its key.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Final

from schema import Activity, ColumnValues
from workers.fold_phase import Phase
from workers.shapes import KeyedShape, ShapeCache
from workers.table_change import Row, TableChange

LOOK_BACK: Final = 100
"""Earlier phases that an update may join: a job has no more statements (`lane_script`)."""


class _Table:
    """A table's phases: `phase` is the last; the earlier ones take only updates."""

    def __init__(self, defaults: Collection[str]) -> None:
        self._defaults = defaults
        self._earlier: list[Phase] = []
        self.phase = Phase(defaults)

    def phase_for(self, operation: str, keyed: KeyedShape, key: Row) -> Phase:
        """Return the last phase that takes an update or upsert, or a new one.

        An update may come before phases that it commutes with.
        """
        for phase in chain((self.phase,), islice(reversed(self._earlier), LOOK_BACK)):
            if phase.takes_update(keyed.match.columns, key):
                return phase
            if operation != "update" or not phase.commutes_with(keyed):
                break
        self.next_phase()
        return self.phase

    def next_phase(self) -> None:
        self._earlier.append(self.phase)
        self.phase = Phase(self._defaults)

    def changes(self, name: str) -> Iterator[TableChange]:
        for phase in (*self._earlier, self.phase):
            change = phase.change(name)
            if not change.is_empty:
                yield change


def fold(
    activities: Iterable[Activity], defaults: Mapping[str, Collection[str]] | None = None
) -> list[TableChange]:
    """Return the net effect of activities in order: the changes of each table, in their order.

    An insert with a `match` is one whose key no row may have: see `workers.key_states`.

    `defaults` has, by table, the columns with a default, by name without case: what a row that
    leaves one out has there is not known here.

    Tables are in the order of their names, in every lane: two lanes with the same tables then
    conflict at the first one, before either has spent time on the others.
    """
    tables: dict[str, _Table] = {}
    shapes = ShapeCache()
    for place, activity in enumerate(activities):
        table = tables.get(activity.table)
        if table is None:
            table = tables[activity.table] = _Table((defaults or {}).get(activity.table, ()))
        if activity.match is not None and activity.operation != "insert":
            _change(activity, activity.match, table, shapes)
            continue
        shape = shapes.shape(activity.names, activity.types)
        row = shape.row(activity.values)
        if activity.operation == "insert":
            if activity.match is not None:
                _check(place, activity.match, table, shapes)
            table.phase.insert(shape, row)
        else:
            if not table.phase.takes_delete(shape.columns, row):
                table.next_phase()
            table.phase.delete(shape, row)
    return [change for name in sorted(tables) for change in tables[name].changes(name)]


def _check(place: int, key: ColumnValues, table: _Table, shapes: ShapeCache) -> None:
    shape = shapes.shape(key.names, key.types)
    if not table.phase.takes_check(shape.columns):
        table.next_phase()
    table.phase.check(place, shape, shape.row(key.values))


def _change(activity: Activity, match: ColumnValues, table: _Table, shapes: ShapeCache) -> None:
    keyed = shapes.keyed(activity, match)
    key, row = keyed.match.row(match.values), keyed.shape.row(activity.values)
    phase = table.phase_for(activity.operation, keyed, key)
    if activity.operation == "update":
        phase.update(keyed, key, row)
    else:
        phase.upsert(keyed, key, row)
