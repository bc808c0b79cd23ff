"""How the columns of activities map onto their sorted sets: found once for all that share them."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from schema import Activity, ColumnType, ColumnValues
from workers.table_change import ColumnSet, Row

type Pick = Callable[[Row], Row]


def pick(places: Sequence[int], width: int) -> Pick:
    """Return what takes the values at some places out of rows of a width."""
    if list(places) == list(range(width)):
        return tuple  # which returns a tuple itself
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple([row[place] for place in places])


class Shape(NamedTuple):
    """Columns as given, sorted; `row` sorts their values."""

    columns: ColumnSet
    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    row: Pick

    @classmethod
    def of(cls, names: Sequence[str], types: Sequence[ColumnType]) -> "Shape":
        folded = [name.casefold() for name in names]
        order = sorted(range(len(folded)), key=folded.__getitem__)
        return cls(
            columns=tuple(folded[i] for i in order),
            names=tuple(names[i] for i in order),
            types=tuple(types[i] for i in order),
            row=pick(order, len(order)),
        )


class KeyedShape(NamedTuple):
    """The columns of an update or upsert. `columns` are those that it does not match on.

    `values` takes theirs out of a sorted row. `shared` has the others: the column, its place in the
    row, and its place in the sorted key.
    """

    match: Shape
    shape: Shape
    columns: tuple[str, ...]
    values: Pick
    shared: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, match: Shape, shape: Shape) -> "KeyedShape":
        own = [place for place, each in enumerate(shape.columns) if each not in match.columns]
        return cls(
            match,
            shape,
            tuple(shape.columns[place] for place in own),
            pick(own, len(shape.columns)),
            tuple(
                (column, shape.columns.index(column), place)
                for place, column in enumerate(match.columns)
                if column in shape.columns
            ),
        )


class ShapeCache:
    """The shape that tuples of names had last: hashing types costs more than comparing them."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], tuple[tuple[ColumnType, ...], Shape]] = {}
        self._keyed: dict[tuple[tuple[str, ...], ...], KeyedShape] = {}

    def shape(self, names: tuple[str, ...], types: tuple[ColumnType, ...]) -> Shape:
        seen = self._shapes.get(names)
        if seen is None or seen[0] != types:
            seen = self._shapes[names] = types, Shape.of(names, types)
        return seen[1]

    def keyed(self, activity: Activity, match: ColumnValues) -> KeyedShape:
        own, key = self.shape(activity.names, activity.types), self.shape(match.names, match.types)
        seen = self._keyed.get((activity.names, match.names))
        if seen is None or seen.shape is not own or seen.match is not key:
            seen = self._keyed[activity.names, match.names] = KeyedShape.of(key, own)
        return seen
