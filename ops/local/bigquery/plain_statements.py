"""Statements of nothing but columns and tables, which most rules cannot change.

Such are the tables of the lanes, and the views over them. The rules for functions and operators
search each statement a hundred times, and finding the types of 32 tables took half a second.
"""

from typing import Any

from local_bigquery.sql import translate
from local_bigquery.sql.rules import arrays, datetime, query, typing
from sqlglot import exp

_PLAIN = (
    exp.Create,
    exp.Schema,
    exp.ColumnDef,
    exp.ColumnConstraint,
    exp.NotNullColumnConstraint,
    exp.DataType,
    exp.Select,
    exp.Union,
    exp.From,
    exp.Table,
    exp.Column,
    exp.Identifier,
    exp.Properties,
)
_FOR_EXPRESSIONS = (
    *arrays.STATEMENT_RULES,
    datetime.datetime,
    query.limited_aggregates,
    query.byte_string_aggregates,
    query.corresponding,
    query.unpivot_order,
    query.hll_count,
    typing.annotate,
)
_MARK = "gatekeeper_plain"
"""The key in a plain statement's `meta`."""


def apply() -> None:
    """Leave these rules out of plain statements."""
    rules = translate.STATEMENT_RULES
    for rule in _FOR_EXPRESSIONS:
        rules[rules.index(rule)] = _unless_plain(rule)
    rules.insert(0, _mark)


def is_plain(tree: exp.Expr) -> bool:
    """Return whether a statement creates a table or view of columns as they are.

    Partitions and options, the properties, never reach DuckDB.
    """
    if not isinstance(tree, exp.Create):
        return False
    nodes = tree.walk(prune=lambda node: isinstance(node, exp.Properties))
    return all(isinstance(node, _PLAIN) for node in nodes)


def _mark(tree: exp.Expr, _context: Any) -> exp.Expr:
    if is_plain(tree):
        tree.meta[_MARK] = True
    return tree


def _unless_plain(rule: Any) -> Any:
    def changed(tree: exp.Expr, context: Any) -> exp.Expr:
        return tree if _MARK in tree.meta else rule(tree, context)

    return changed
