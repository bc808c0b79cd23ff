"""Values that do not coerce to their column's type are refused, as BigQuery does.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules. The embedded
BigQuery casts them, with a loss. What cannot be read from the text is accepted.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sqlglot import exp

from ops.rig.strict_bigquery.parsed_script import ParsedStatement
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.value_types import NULL, ColumnTypes, TypeReader, ValueType

_TIMES: Final = frozenset({"DATE", "DATETIME", "TIME", "TIMESTAMP"})
_COERCES: Final[dict[str, frozenset[str]]] = {
    "INT64": frozenset({"NUMERIC", "BIGNUMERIC", "FLOAT64"}),
    "NUMERIC": frozenset({"BIGNUMERIC", "FLOAT64"}),
    "BIGNUMERIC": frozenset({"FLOAT64"}),
    "DATE": frozenset({"DATETIME"}),
    "DATETIME": frozenset(),
}
_LITERALS: Final = {"STRING": _TIMES, "FLOAT64": frozenset({"NUMERIC", "BIGNUMERIC"})}
"""The page's "literal coercion"; parameters of type STRING coerce as literals do."""

type _Assigned = tuple[int, str, exp.Expr | ValueType | None]
"""Place in the statement, column, and the value or its type."""


def coerces(value: ValueType, column: str) -> bool:
    """Whether a value may be stored in a column of a type without converting it."""
    if value.name in {NULL, column} or column in _COERCES.get(value.name, ()):
        return True
    if value.literal:
        return column in _LITERALS.get(value.name, ())
    return value.parameter and value.name == "STRING" and column in _TIMES


def check(statement: ParsedStatement, types: ColumnTypes, reader: TypeReader) -> None:
    """Raise Refused for the first value that does not coerce to its column's type in `types`."""
    for place, column, given in _assignments(statement.tree, types, reader):
        value = reader.of(given) if isinstance(given, exp.Expr) else given
        own = types.get(column.casefold())
        if value is None or own is None or coerces(value, own):
            continue
        if statement.kind == "INSERT":
            text = (
                f"Query column {place} has type {value.name} which cannot be inserted into "
                f"column {column}, which has type {own}"
            )
        else:
            text = (
                f"Value of type {value.name} cannot be assigned to {column}, which has type {own}"
            )
        raise Refused("lossy_cast", "invalidQuery", text)


def _assignments(
    tree: exp.Expr | None, types: ColumnTypes, reader: TypeReader
) -> Iterator[_Assigned]:
    match tree:
        case exp.Insert():
            yield from _inserted(tree, types, reader)
        case exp.Update():
            yield from _set(tree.expressions)
        case exp.Merge():
            for when in tree.find_all(exp.When):
                match when.args["then"]:
                    case exp.Update() as update:
                        yield from _set(update.expressions)
                    case exp.Insert() as insert if isinstance(insert.expression, exp.Tuple):
                        listed = insert.this.expressions if insert.this else ()
                        names = [each.name for each in listed] or list(types)
                        yield from _numbered(names, insert.expression.expressions)


def _set(expressions: Iterable[exp.Expr]) -> Iterator[_Assigned]:
    for place, each in enumerate(expressions, 1):
        if isinstance(each, exp.EQ):
            yield place, each.this.name, each.expression


def _inserted(insert: exp.Insert, types: ColumnTypes, reader: TypeReader) -> Iterator[_Assigned]:
    listed = insert.this.expressions if isinstance(insert.this, exp.Schema) else ()
    names = [each.name for each in listed] or list(types)
    if isinstance(insert.expression, exp.Values):
        for row in insert.expression.expressions:
            yield from _numbered(names, row.expressions)
    elif isinstance(insert.expression, exp.Query):
        projected = reader.projected(insert.expression) or ()
        yield from _numbered(names, [value for _, value in projected])


def _numbered(
    names: Iterable[str], values: Iterable[exp.Expr | ValueType | None]
) -> Iterator[_Assigned]:
    pairs = zip(names, values, strict=False)
    yield from ((place, name, value) for place, (name, value) in enumerate(pairs, 1))
