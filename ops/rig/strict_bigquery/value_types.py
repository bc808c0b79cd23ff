"""The types of SQL expressions as far as they can be read from the text and the tables' schemas."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

NULL: Final = "NULL"
_NUMBERS: Final = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")

type ColumnTypes = Mapping[str, str]
"""A table's types by the column's name without case, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type without its size; literals and parameters coerce to more types than other values."""

    name: str
    literal: bool = False
    parameter: bool = False


@dataclass(frozen=True, slots=True)
class TypeReader:
    """Reads types; None is a type that cannot be read."""

    parameters: Mapping[str, str]
    """The types of the query's parameters, by their names without case."""
    columns: Callable[[exp.Table], ColumnTypes | None]

    def of(self, node: exp.Expr) -> ValueType | None:  # noqa: PLR0911  # one for each node type
        """Return the type of an expression at its place in the statement."""
        match node:
            case exp.Paren() | exp.Alias() | exp.Neg():
                return self.of(node.this)
            case exp.Null():
                return ValueType(NULL)
            case exp.Literal():
                return ValueType(_literal(node), literal=True)
            case exp.Parameter():
                name = self.parameters.get(node.name.casefold())
                return ValueType(name, parameter=True) if name else None
            case exp.Column():
                return self._column(node)
            case exp.Bracket():
                return _element(self.of(node.this))
            case exp.If():
                return _common(
                    map(self.of, filter(None, (node.args["true"], node.args.get("false"))))
                )
            case exp.Coalesce():
                return _common(map(self.of, (node.this, *node.expressions)))
            case exp.Add() | exp.Sub() | exp.Mul():
                return _common(map(self.of, (node.left, node.right)))
        return _annotated(node)

    def projected(self, query: exp.Expr) -> list[tuple[str, ValueType | None]] | None:
        """Return a query's columns; None where its list has a star that cannot be expanded."""
        if isinstance(query, exp.Subquery):
            return self.projected(query.this)
        if isinstance(query, exp.SetOperation):
            return self._united(query)
        found: list[tuple[str, ValueType | None]] = []
        for each in query.expressions if isinstance(query, exp.Select) else ():
            if each.find(exp.Star) and not each.find(exp.AggFunc):
                return None
            found.append((each.alias_or_name.casefold(), self.of(each)))
        return found

    def _united(self, query: exp.SetOperation) -> list[tuple[str, ValueType | None]] | None:
        left, right = self.projected(query.this), self.projected(query.expression)
        if left is None or right is None or len(left) != len(right):
            return None
        return [(name, _common((a, b))) for (name, a), (_, b) in zip(left, right, strict=True)]

    def _column(self, column: exp.Column) -> ValueType | None:
        """Look a column up in the nearest query that has it."""
        name, qualifier = column.name.casefold(), column.table.casefold()
        scope = column.parent
        while scope is not None:
            for source in _sources(scope):
                if qualifier not in {"", source.alias_or_name.casefold()}:
                    continue
                if (found := self._in_source(source, name)) is not None:
                    return found
            scope = scope.parent
        return None

    def _in_source(self, source: exp.Expr, name: str) -> ValueType | None:
        if isinstance(source, exp.Table):
            own = self.columns(source)
            return ValueType(own[name]) if own and name in own else None
        if isinstance(source, exp.Subquery):
            found = dict(self.projected(source.this) or ()).get(name)
            return replace(found, literal=False, parameter=False) if found else None
        return None


def _sources(scope: exp.Expr) -> list[exp.Expr]:
    """Return what the columns of a query or statement may come from."""
    if isinstance(scope, exp.Select | exp.Update):
        own = [scope.this] if isinstance(scope, exp.Update) and scope.this else []
        begin = scope.args.get("from_")
        joined = [join.this for join in scope.args.get("joins") or ()]
        return [*own, *([begin.this] if begin else []), *joined]
    if isinstance(scope, exp.Merge):
        return [scope.this, scope.args["using"]]
    return [scope.this] if isinstance(scope, exp.Delete) else []


def _literal(node: exp.Literal) -> str:
    if node.is_string:
        return "STRING"
    return "INT64" if node.is_int else "FLOAT64"


def _element(array: ValueType | None) -> ValueType | None:
    if array is None or not array.name.startswith("ARRAY<"):
        return None
    return ValueType(array.name.removeprefix("ARRAY<").removesuffix(">"))


def _common(found: Iterable[ValueType | None]) -> ValueType | None:
    """Return the type of several branches; a NULL has that of the others."""
    types = list(found)
    if any(each is None for each in types):
        return None
    others = [each for each in types if each is not None and each.name != NULL]
    if not others:
        return ValueType(NULL)
    names = {each.name for each in others}
    if len(names) == 1:
        every = all(each.literal for each in others)
        return ValueType(others[0].name, literal=every)
    if names <= set(_NUMBERS):
        return ValueType(max(names, key=_NUMBERS.index))
    return None


def _annotated(node: exp.Expr) -> ValueType | None:
    """Return the type that sqlglot gives a cast or a function's result."""
    if isinstance(node, exp.Cast):
        return ValueType(bare(node.to.sql("bigquery")))
    known = annotate_types(node.copy(), dialect="bigquery").type
    if known is None or known.this == exp.DataType.Type.UNKNOWN:
        return None
    return ValueType(bare(known.sql("bigquery")))


def bare(declared: str) -> str:
    """Return a type without its size: NUMERIC of NUMERIC(10, 2)."""
    return declared.partition("(")[0].upper()
