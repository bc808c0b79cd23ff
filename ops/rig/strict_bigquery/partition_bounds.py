"""Constant bounds on a column, which leave out partitions.

https://cloud.google.com/bigquery/docs/querying-partitioned-tables: a comparison with a constant
prunes, also one with a parameter; a comparison with another table's column does not.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlglot import exp

_FOLLOWING: dict[type[exp.Expr], str] = {
    exp.GTE: "low",
    exp.GT: "low",
    exp.LTE: "high",
    exp.LT: "high",
    exp.EQ: "both",
}
_MIRRORED: dict[type[exp.Expr], str] = {
    exp.GTE: "high",
    exp.GT: "high",
    exp.LTE: "low",
    exp.LT: "low",
    exp.EQ: "both",
}


class Bounds(NamedTuple):
    """Seconds since the epoch, both ends included; infinite where there is no bound."""

    low: float = float("-inf")
    high: float = float("inf")

    def met(self, other: "Bounds") -> "Bounds":
        return Bounds(max(self.low, other.low), min(self.high, other.high))


def bounds(table: exp.Table, column: str, parameters: Mapping[str, str | None]) -> Bounds:
    """Return the bounds that a statement puts on a column of a table that it reads."""
    found = Bounds()
    for condition in _conditions(table):
        for each in condition.flatten() if isinstance(condition, exp.And) else (condition,):
            found = found.met(_bound(each.unnest(), table, column, parameters))
    return found


def _conditions(table: exp.Table) -> Iterator[exp.Expr]:
    """Yield what must hold for every row of the table that matters to the statement."""
    parent = table.parent
    scope = parent.parent if isinstance(parent, exp.From | exp.Join) else parent
    if isinstance(scope, exp.Merge) and scope.this is table:
        yield scope.args["on"]
    elif isinstance(scope, exp.Select | exp.Update | exp.Delete) and scope.args.get("where"):
        yield scope.args["where"].this


def _bound(
    node: exp.Expr, table: exp.Table, column: str, parameters: Mapping[str, str | None]
) -> Bounds:
    if isinstance(node, exp.Between) and _is_column(node.this, table, column):
        low, high = (constant(node.args[end], parameters) for end in ("low", "high"))
        return _as_bounds("low", low).met(_as_bounds("high", high))
    if type(node) not in _FOLLOWING:
        return Bounds()
    if _is_column(node.this, table, column):
        return _as_bounds(_FOLLOWING[type(node)], constant(node.expression, parameters))
    if _is_column(node.expression, table, column):
        return _as_bounds(_MIRRORED[type(node)], constant(node.this, parameters))
    return Bounds()


def _as_bounds(side: str, value: float | None) -> Bounds:
    if value is None:
        return Bounds()
    return Bounds(
        low=value if side in {"low", "both"} else float("-inf"),
        high=value if side in {"high", "both"} else float("inf"),
    )


def _is_column(node: exp.Expr, table: exp.Table, column: str) -> bool:
    return (
        isinstance(node, exp.Column)
        and node.name.casefold() == column.casefold()
        and node.table.casefold() in {"", table.alias_or_name.casefold()}
    )


def constant(node: exp.Expr, parameters: Mapping[str, str | None]) -> float | None:
    """Return the time of a literal or a parameter, cast or not; None for anything else."""
    while isinstance(node, exp.Cast | exp.Paren | exp.Timestamp | exp.Date):
        node = node.this
    text = parameters.get(node.name.casefold()) if isinstance(node, exp.Parameter) else None
    if isinstance(node, exp.Literal) and node.is_string:
        text = node.name
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
