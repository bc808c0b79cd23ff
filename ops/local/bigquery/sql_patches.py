"""Changes to local-bigquery's SQL: decimal columns keep all digits, lists become joins."""

from typing import Any

from local_bigquery.catalog import ddl, tables
from local_bigquery.engine import database, types
from local_bigquery.sql import translate
from local_bigquery.sql.dialect import BigQueryDialect
from sqlglot import exp

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types
_NUMERIC_WHOLE_DIGITS = 29
_UNSIZED = {(38, 9), (38, 18)}
"""How NUMERIC and BIGNUMERIC are stored if they are declared without a size."""


def apply() -> None:
    keep_bignumeric_digits()
    join_lists()
    report_exact_decimal_types()
    keep_sizes_of_added_columns()


def keep_bignumeric_digits() -> None:
    """Remove casts from text to BIGNUMERIC in INSERT and DELETE: the column converts the text.

    The cast went through DECIMAL(38,18). That rounds after 18 decimals and refuses more than 20
    digits before the point, whatever the column's type.
    """

    def rule(tree: exp.Expr, _context: Any) -> exp.Expr:
        if isinstance(tree, exp.Insert | exp.Delete):
            for cast in list(tree.find_all(exp.Cast)):
                if cast.to.this == exp.DataType.Type.BIGDECIMAL and not cast.to.expressions:
                    cast.replace(cast.this)
        return tree

    translate.STATEMENT_RULES.insert(0, rule)


def join_lists() -> None:
    """Turn `IN UNNEST(list)` into a join, if the list is the same for every row.

    DuckDB searched the whole list for each row: the ledger's guard took half a second for 1,500 ids
    among 200,000 rows, and takes a tenth of that as a join.
    """
    listed = "SELECT listed FROM UNNEST({}) AS listed"

    def rule(tree: exp.Expr, _context: Any) -> exp.Expr:
        for found in list(tree.find_all(exp.In)):
            unnest = found.args.get("unnest")
            if unnest is not None and not unnest.find(exp.Column):
                text = listed.format(unnest.expressions[0].sql(dialect=BigQueryDialect))
                (rows,) = translate.parse(text)
                found.replace(exp.In(this=found.this, query=exp.Subquery(this=rows)))
        return tree

    translate.STATEMENT_RULES.insert(0, rule)


def report_exact_decimal_types() -> None:
    """Report a decimal column as it was declared, and read all its digits.

    BIGNUMERIC(38,0) came back as NUMERIC, and its longer values could not be read. All columns of a
    table created just before a kill came back without precision and scale, because the declaration
    is stored in a second commit.
    """
    scalar, overlay, plain_field = types._scalar, tables._overlay, types.field  # noqa: SLF001

    def uncut_scalar(kind: Any) -> tuple[str, str]:
        name, stored = scalar(kind)
        if kind.id == "decimal" and _is_wide(*(value for _, value in kind.children)):
            return name, str(kind)
        return name, stored

    def sized_field(name: str, kind: Any, required: bool = False) -> Any:  # noqa: FBT001, FBT002  # their signature
        found = plain_field(name, kind, required)
        if kind.id != "decimal":
            return found
        precision, scale = (value for _, value in kind.children)
        if (precision, scale) in _UNSIZED:
            return found
        return found.replace(precision=str(precision), scale=str(scale))

    def named_overlay(found: list[Any], extras: list[Any], *rest: Any) -> list[Any]:
        declared = {extra.name.casefold(): extra for extra in extras}
        return [
            _named(field, declared.get(field.name.casefold()))
            for field in overlay(found, extras, *rest)
        ]

    types._scalar, tables._overlay = uncut_scalar, named_overlay  # noqa: SLF001
    types.field = sized_field


def keep_sizes_of_added_columns() -> None:
    """Store the declared precision and scale of a column that ALTER TABLE adds: they were lost."""
    alteration = ddl._alteration  # noqa: SLF001

    def declared_alteration(
        stored: Any, action: exp.Expr, reference: tuple[str, str, str], evaluate: Any
    ) -> dict[str, Any]:
        is_added = isinstance(action, exp.ColumnDef)
        declared = ddl._parameters(action.args.get("kind")) if is_added else {}  # noqa: SLF001
        if "precision" not in declared:
            found: dict[str, Any] = alteration(stored, action, reference, evaluate)
            return found
        size = min(int(declared["precision"]), 38), int(declared.get("scale", 0))
        # With IF NOT EXISTS, an existing column of another size keeps its own.
        added = _decimals(*reference).get(action.name) == size
        fields = [
            field.replace(**declared) if added and field.name == action.name else field
            for field in tables.fields(stored)
        ]
        return {"schema": {"fields": fields}}

    ddl._alteration = declared_alteration  # noqa: SLF001


def _named(field: Any, declared: Any) -> Any:
    """Return a column with its declared size, or else its stored one."""
    if declared is not None and declared.precision:
        field = field.replace(precision=declared.precision, scale=declared.scale)
    if field.type == "NUMERIC" and _is_wide(field.precision or 0, field.scale or 0):
        return field.replace(type="BIGNUMERIC")
    return field


def _is_wide(precision: int | str, scale: int | str) -> bool:
    """Return whether NUMERIC, with 29 digits before the point, cannot hold such values."""
    return int(precision) - int(scale) > _NUMERIC_WHOLE_DIGITS


def _decimals(project_id: str, dataset_id: str, table_id: str) -> dict[str, tuple[int, int]]:
    """Return the stored precision and scale of each decimal column of a table."""
    rows = database.fetch(
        "SELECT column_name, numeric_precision, numeric_scale FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = ? AND table_name = ? "
        "AND starts_with(data_type, 'DECIMAL')",
        list(tables.physical(project_id, dataset_id, table_id)),
    )
    return {name: (precision, scale) for name, precision, scale in rows}
