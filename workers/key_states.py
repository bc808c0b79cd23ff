"""Which primary keys a table has, as far as the activities of a batch decide it.

For tables whose contract has `duplicate: reject`. Whether a key exists that the batch has not named
before, only the table can say: an insert of it gets the key as its `match`, and the script checks
that no row has it. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from schema import Activity
from schema.contracts import TableContract, with_primary_key
from workers.contract_columns import BreaksContract, duplicate_error, key_of
from workers.shapes import Pick, ShapeCache, pick
from workers.table_change import ColumnSet, Row

type ExistingKeys = Mapping[str, Iterable[Row]]
"""Keys that tables had before a batch, by table; the values in the order of the sorted names."""

NO_KEYS: Final[ExistingKeys] = MappingProxyType({})


class _Step(NamedTuple):
    """The last activity that decided on keys, and whether there are rows with them since."""

    number: int
    is_there: bool


@dataclass(slots=True, eq=False)
class KeyStates:
    """The keys of one table while the activities of a batch are followed.

    What was followed counts once it is kept: `forget` takes back the rest.
    """

    contract: TableContract
    existing: Iterable[Row] = ()
    columns: ColumnSet = field(init=False)
    _shapes: ShapeCache = field(default_factory=ShapeCache, init=False)
    _steps: dict[tuple[ColumnSet, Row], _Step] = field(default_factory=dict, init=False)
    """By the columns of the key, or by some of them: a delete by these decides on all its keys."""
    _parts: dict[ColumnSet, Pick] = field(default_factory=dict, init=False)
    _number: int = field(default=0, init=False)
    _moved: int = field(default=-1, init=False)
    """The last activity that may have given any row any key."""
    _struck: int = field(default=-1, init=False)
    """The last activity that may have deleted any row."""
    _undo: list[tuple[tuple[ColumnSet, Row], _Step | None]] = field(
        default_factory=list, init=False
    )
    _kept: tuple[int, int] = field(default=(-1, -1), init=False)

    def __post_init__(self) -> None:
        self.columns = tuple(sorted(map(str.casefold, self.contract.primary_key)))
        self._add_part(self.columns)
        for key in self.existing:
            self._steps[self.columns, key] = _Step(0, is_there=True)

    def has(self, key: Row) -> bool | None:
        """Whether a row has the key now; None where only the table can say."""
        last = max(self._steps_of(key), default=None)
        if last is None or last.number < self._moved:
            return None
        return None if last.is_there and last.number < self._struck else last.is_there

    def _steps_of(self, key: Row) -> Iterator[_Step]:
        for columns, part in self._parts.items():
            if step := self._steps.get((columns, part(key))):
                yield step

    def checked(self, activity: Activity) -> Activity:
        """Return the next activity; an insert whose key only the table knows has it as `match`.

        Raises BreaksContract for an insert of a key that a row has. A row with a NULL in its key is
        no duplicate of another.
        """
        if activity.operation == "insert":
            key = key_of(activity, self.contract)
            is_there = False if None in key else self.has(key)
            if is_there:
                raise BreaksContract(duplicate_error(self.contract, activity))
            if is_there is None:
                activity = with_primary_key(activity, self.contract)
        self._follow(activity)
        return activity

    def _follow(self, activity: Activity) -> None:
        self._number += 1
        match activity.operation:
            case "insert":
                self._note_row(activity)
            case "delete":
                self._note_delete(activity)
            case "update" if self._moves(activity):
                self._moved = self._number
            case "upsert":
                self._note_upsert(activity)

    def _note_row(self, activity: Activity) -> None:
        self._note(self.columns, key_of(activity, self.contract), is_there=True)

    def _note_delete(self, activity: Activity) -> None:
        shape = self._shapes.shape(activity.names, activity.types)
        if set(shape.columns) <= set(self.columns):
            self._add_part(shape.columns)
            self._note(shape.columns, shape.row(activity.values), is_there=False)
        else:
            self._struck = self._number

    def _note_upsert(self, activity: Activity) -> None:
        assert activity.match  # noqa: S101  # the plan has seen to it
        if self._shapes.shape(activity.match.names, activity.match.types).columns == self.columns:
            self._note_row(activity)
        else:
            self._moved = self._number

    def _moves(self, activity: Activity) -> bool:
        """Whether an update may change a key: it sets a column of it that it does not match so."""
        assert activity.match  # noqa: S101  # an update has it
        matched = set(
            zip(map(str.casefold, activity.match.names), activity.match.values, strict=True)
        )
        sets = zip(map(str.casefold, activity.names), activity.values, strict=True)
        return any(each[0] in self.columns and each not in matched for each in sets)

    def _add_part(self, columns: ColumnSet) -> None:
        if columns not in self._parts:
            places = [self.columns.index(column) for column in columns]
            self._parts[columns] = pick(places, len(self.columns))

    def _note(self, columns: ColumnSet, key: Row, *, is_there: bool) -> None:
        self._undo.append(((columns, key), self._steps.get((columns, key))))
        self._steps[columns, key] = _Step(self._number, is_there)

    def keep(self) -> None:
        self._undo.clear()
        self._kept = self._moved, self._struck

    def forget(self) -> None:
        for place, step in reversed(self._undo):
            if step is None:
                del self._steps[place]
            else:
                self._steps[place] = step
        self._undo.clear()
        self._moved, self._struck = self._kept
