"""Refuses INSERT, UPDATE and MERGE of a value whose type does not coerce to its column's."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlglot
from local_bigquery.catalog import metadata, names, tables
from local_bigquery.engine.types import bigquery_type
from local_bigquery.errors import BigQueryError
from local_bigquery.models import Table
from local_bigquery.sql import translate
from local_bigquery.sql.rules import tables as table_rules
from local_bigquery.sql.rules import typing
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from ops.local.bigquery import coercions

_TYPED = "gatekeeper_typed"
"""The name of the table that stands for a MERGE's source."""


class Assignment(NamedTuple):
    """A typed value and the column that it is written to; without a name, the one at `position`."""

    value: exp.Expr
    column: str | None
    position: int


def apply() -> None:
    """Check each statement before any rule changes it; a cached translation is checked already."""
    translate.STATEMENT_RULES.insert(0, refuse_lossy_assignments)


def refuse_lossy_assignments(tree: exp.Expr, context: Any) -> exp.Expr:
    if not isinstance(tree, exp.Insert | exp.Update | exp.Merge):
        return tree
    target = names.target(tree)
    ctes = {each.alias_or_name.casefold() for each in tree.find_all(exp.CTE)}
    reference = target is not None and table_rules.resolve(target, context, ctes)
    if not reference:
        return tree
    try:
        fields = reported_columns(*reference)
    except BigQueryError:
        return tree  # the translation reports it
    _check(_assignments(_Typing(tree, context, ctes)), fields)
    return tree


def reported_columns(*reference: str) -> list[Any]:
    """Return a table's columns with their declared types: DuckDB has one type for both decimals."""
    declared = metadata.load(Table, *reference)
    fields: list[Any] = tables._overlay(  # noqa: SLF001
        tables.columns(*reference), tables.fields(declared) if declared else []
    )
    return fields


def _check(assignments: Iterable[Assignment], fields: list[Any]) -> None:
    by_name = {field.name.casefold(): field for field in fields}
    for value, column, position in assignments:
        if column is not None:
            field = by_name.get(column.casefold())
        else:
            field = fields[position] if position < len(fields) else None
        if field is None:
            continue
        wanted = bigquery_type(field)
        if not coercions.coerces(value, exp.DataType.build(wanted, dialect="bigquery")):
            raise BigQueryError(
                "invalidQuery",
                f"Query column {position + 1} has type {coercions.name(value.type)} which cannot "
                f"be inserted into column {field.name}, which has type {wanted}",
            )


class _Typing:
    """The types of a statement's expressions, as far as sqlglot knows BigQuery's functions."""

    def __init__(self, tree: exp.Expr, context: Any, ctes: set[str]) -> None:
        self.tree: Any = tree.copy()
        for table in self.tree.find_all(exp.Table):
            if (reference := table_rules.resolve(table, context, ctes)) is None:
                continue
            if not table.alias and table is not names.target(self.tree):
                alias = exp.to_identifier(table.name, quoted=True)
                table.set("alias", exp.TableAlias(this=alias))
            parts = zip(("catalog", "db", "this"), tables.physical(*reference), strict=True)
            for key, part in parts:
                table.set(key, exp.to_identifier(part, quoted=True))
        for parameter in list(self.tree.find_all(exp.Parameter)):
            if sql := context.parameters.get(parameter.name):
                typed = sqlglot.parse_one(sql, dialect="duckdb")
                typed.meta[coercions.PARAMETER] = True
                parameter.replace(typed)
        self._schema = typing._schema(self.tree)  # noqa: SLF001

    def typed(self, query: exp.Query) -> list[exp.Query]:
        """Return the SELECTs of a query, with types; none where sqlglot cannot type them.

        Each half of a UNION is typed for itself: a NULL in one half has the type of the other.
        """
        if isinstance(query, exp.Subquery):
            return self.typed(query.this)
        if isinstance(query, exp.SetOperation):
            return [*self.typed(query.left), *self.typed(query.right)]
        try:
            found = qualify(
                query.copy(),
                dialect="bigquery",
                schema=self._schema,
                expand_stars=True,
                validate_qualify_columns=False,
                quote_identifiers=False,
                identify=False,
            )
            return [annotate_types(found, schema=self._schema, dialect="bigquery")]
        except (SqlglotError, ValueError, KeyError, AttributeError):
            return []

    def once(self, source: exp.Expr) -> tuple[exp.Expr, list[exp.Query]]:
        """Return what stands for a MERGE's source, and its typed SELECTs if it is a query.

        A query whose types are all known becomes a table of these types: each clause would type
        all of it again.
        """
        if not isinstance(source, exp.Subquery):
            return source, []
        halves = self.typed(source.this)
        columns = halves[0].expressions if len(halves) == 1 else []
        kinds = {each.alias_or_name: each.type for each in columns}
        if not source.alias or len(kinds) < len(columns) or "" in kinds:
            return source, halves
        if not columns or any(coercions.name(kind) is None for kind in kinds.values()):
            return source, halves
        names_and_types = {name: kind.sql("bigquery") for name, kind in kinds.items() if kind}
        self._schema[_TYPED] = {_TYPED: {_TYPED: names_and_types}}
        alias = source.args["alias"].this.copy()
        return exp.table_(_TYPED, _TYPED, _TYPED, quoted=True, alias=alias), halves

    def values(self, values: list[exp.Expr], *sources: exp.Expr | None) -> list[exp.Expr]:
        """Return the expressions with types, as if selected from these tables and queries."""
        query = exp.Select(expressions=[each.copy() for each in values])
        for number, source in enumerate(each for each in sources if each is not None):
            query = query.join(source.copy()) if number else query.from_(source.copy())
        return [each for select in self.typed(query) for each in select.expressions]


def _assignments(types: _Typing) -> Iterator[Assignment]:
    tree = types.tree
    if isinstance(tree, exp.Update):
        source = tree.args.get("from_") or tree.args.get("from")
        yield from _updated(types, tree.expressions, tree.this, source and source.this)
    elif isinstance(tree, exp.Insert):
        yield from _inserted(types, tree.this, tree.expression, tree.args.get("with_"))
    else:
        using, halves = types.once(tree.args["using"])
        for when in tree.args["whens"].expressions:
            action = when.args["then"]
            if isinstance(action, exp.Update):
                yield from _updated(types, action.expressions, tree.this, using)
            elif isinstance(action, exp.Insert):
                yield from _merged(types, action, using, halves)


def _updated(
    types: _Typing, assigned: list[exp.Expr], *sources: exp.Expr | None
) -> Iterator[Assignment]:
    values = types.values([each.expression for each in assigned], *sources)
    for each, value in zip(assigned, values, strict=False):
        yield Assignment(value, each.this.name, 0)


def _inserted(types: _Typing, into: exp.Expr, rows: Any, ctes: Any) -> Iterator[Assignment]:
    columns = [each.name for each in into.expressions] if isinstance(into, exp.Schema) else None
    if isinstance(rows, exp.Values):
        found = [types.values(each.expressions) for each in rows.expressions]
    elif isinstance(rows, exp.Query):
        if ctes is not None and not rows.args.get("with_"):
            rows.set("with_", ctes.copy())
        found = [each.expressions for each in types.typed(rows)]
    else:
        return
    for values in found:
        yield from _placed(values, columns)


def _placed(values: list[exp.Expr], columns: list[str] | None) -> Iterator[Assignment]:
    for position, value in enumerate(values):
        if columns is None:
            yield Assignment(value, None, position)
        elif position < len(columns):
            yield Assignment(value, columns[position], position)


def _merged(
    types: _Typing, action: exp.Insert, using: exp.Expr, halves: list[exp.Query]
) -> Iterator[Assignment]:
    """Yield the values of a MERGE's INSERT; a column of a UNION comes from each of its halves."""
    columns = [each.name for each in action.this.expressions] if action.this else None
    if not isinstance(action.expression, exp.Tuple):  # INSERT ROW
        star = types.values([exp.Star()], using)
        yield from _placed(star, None)
        return
    values = action.expression.expressions
    first = [each.alias_or_name.casefold() for each in halves[0].expressions] if halves else []
    typed = types.values(values, using)
    for position, value in enumerate(values):
        column = columns[position] if columns and position < len(columns) else None
        if isinstance(value, exp.Column) and value.name.casefold() in first:
            place = first.index(value.name.casefold())
            found = [each.expressions[place] for each in halves if place < len(each.expressions)]
        else:
            found = typed[position : position + 1]
        yield from (Assignment(each, column, position) for each in found)
