"""ALTER TABLE as in BigQuery: what it refuses, and what is reported of the columns afterwards.

local-bigquery keeps what a column was declared with (sizes, a default, a description) apart from
DuckDB's table, by the column's name. It changed that for a column's options only. So a changed
type, a renamed or a dropped and added column was reported with what it was declared with before.
"""

from typing import Any

from local_bigquery.catalog import ddl, metadata, names, tables
from local_bigquery.engine.types import bigquery_type
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import query
from local_bigquery.models import JobStatistics2, Table
from local_bigquery.sql import translate
from local_bigquery.sql.dialect import BigQueryDialect
from sqlglot import exp

from ops.local.bigquery import coercions

_CARRIED = ("maxLength", "defaultValueExpression", "description")
"""What DuckDB does not keep of a column: a new name must not lose it."""
_SIZES = ("precision", "scale", "maxLength")
_INTEGER_DIGITS = 19  # of an INT64


def apply() -> None:
    translate.STATEMENT_RULES.insert(0, refuse_impossible_changes)
    alteration, declared_fields, described = ddl._alteration, ddl._fields, query._ddl  # noqa: SLF001

    def reported_alteration(
        stored: Any, action: exp.Expr, reference: tuple[str, str, str], evaluate: Any
    ) -> Any:
        before = metadata.load(Table, *reference)
        declared = tables.fields(before) if before else []
        is_new = isinstance(action, exp.ColumnDef)
        new = declared_fields(exp.Schema(expressions=[action.copy()]), evaluate) if is_new else ()
        found = _changed_fields(tables.fields(stored), declared, action, *new)
        if found is None:
            return alteration(stored, action, reference, evaluate)
        return {"schema": {"fields": found}}

    def fields_with_defaults(schema: exp.Expr, evaluate: Any) -> list[dict[str, Any]]:
        fields = {each["name"]: each for each in declared_fields(schema, evaluate)}
        for column in schema.expressions if isinstance(schema, exp.Schema) else ():
            if declared := _declaration(column):
                fields.setdefault(column.name, {"name": column.name}).update(declared)
        return list(fields.values())

    def skipping_ddl(tree: exp.Expr, context: Any) -> Any:
        if isinstance(tree, exp.Alter) and tree.args.get("exists"):
            reference = names.reference(tree.this, context.project_id, context.dataset_id)
            if not tables.exists(*reference):
                return JobStatistics2.model_validate({"ddlOperationPerformed": "SKIP"})
        return described(tree, context)

    ddl._alteration, ddl._fields, query._ddl = (  # noqa: SLF001
        reported_alteration,
        fields_with_defaults,
        skipping_ddl,
    )


def refuse_impossible_changes(tree: exp.Expr, context: Any) -> exp.Expr:
    """Raise the error of an ALTER TABLE that BigQuery refuses and DuckDB does not."""
    if not isinstance(tree, exp.Alter) or (tree.args.get("kind") or "TABLE") != "TABLE":
        return tree
    for action in tree.args.get("actions") or ():
        if isinstance(action, exp.AlterRename):
            _check_new_name(action.this)
        elif isinstance(action, exp.AlterColumn) and action.args.get("dtype"):
            reference = names.reference(tree.this, context.project_id, context.dataset_id)
            _check_new_type(tables.fields(tables.load(*reference)), action)
    return tree


def _check_new_name(new: exp.Table) -> None:
    if new.args.get("db"):
        text = "ALTER TABLE RENAME TO takes the name of a table, without its dataset"
        raise BigQueryError("invalidQuery", text)
    names.table(new.name)


def _check_new_type(fields: list[Any], action: exp.AlterColumn) -> None:
    """Only a type that the old one coerces to, and only larger sizes.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_column_set_data_type_statement
    """
    field = next((each for each in fields if each.name.casefold() == action.name.casefold()), None)
    if field is None:
        return  # DuckDB reports it
    wanted = action.args["dtype"]
    given = exp.column(field.name)
    given.type = exp.DataType.build(bigquery_type(field), dialect=BigQueryDialect)
    sizes = _sizes(wanted)
    if coercions.coerces(given, wanted) and _is_wider(field, sizes):
        return
    raise BigQueryError(
        "invalidQuery",
        "ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type "
        f"({given.type.sql(dialect='bigquery')}) is assignable to the new type "
        f"({wanted.sql(dialect='bigquery')})",
    )


def _is_wider(field: Any, sizes: dict[str, Any]) -> bool:
    if not sizes:
        return True
    if "maxLength" in sizes:
        return field.maxLength is not None and int(sizes["maxLength"]) >= int(field.maxLength)
    precision, scale = int(sizes["precision"]), int(sizes.get("scale") or 0)
    if field.type == "INTEGER":
        return precision - scale >= _INTEGER_DIGITS
    if field.precision is None:
        return False
    old_scale = int(field.scale or 0)
    return scale >= old_scale and precision - scale >= int(field.precision) - old_scale


def _changed_fields(
    fields: list[Any], declared: list[Any], action: exp.Expr, *added: dict[str, Any]
) -> list[Any] | None:
    """Return what to store of the columns after a change of one; None for other changes.

    `fields` are the columns as they are now, `declared` what was stored of them before. `added` has
    the options of a new column.
    """
    if isinstance(action, exp.ColumnDef):
        if action.args.get("exists"):  # an existing column keeps its own; DuckDB knows decimals
            return fields
        new = {**next(iter(added), {}), **_declaration(action)}
        return [each.replace(**new) if each.name == action.name else each for each in fields]
    if isinstance(action, exp.AlterColumn):
        return [_altered(each, action) for each in fields]
    if isinstance(action, exp.RenameColumn):
        old = {each.name.casefold(): each for each in declared}.get(action.this.name.casefold())
        carried = {each: getattr(old, each) for each in _CARRIED} if old else {}
        name = action.args["to"].name
        return [each.replace(**carried) if each.name == name else each for each in fields]
    dropped = isinstance(action, exp.Drop) and action.args.get("kind") == "COLUMN"
    return fields if dropped else None


def _altered(field: Any, action: exp.AlterColumn) -> Any:
    if field.name.casefold() != action.name.casefold():
        return field
    if kind := action.args.get("dtype"):
        return field.replace(**dict.fromkeys(_SIZES) | _sizes(kind))
    if default := action.args.get("default"):
        return field.replace(defaultValueExpression=default.sql(dialect="bigquery"))
    if action.args.get("drop") and not action.args.get("allow_null"):
        return field.replace(defaultValueExpression=None)
    return field


def _sizes(kind: exp.DataType) -> dict[str, Any]:
    found: dict[str, Any] = ddl._parameters(kind)  # noqa: SLF001
    return found


def _declaration(column: exp.ColumnDef) -> dict[str, Any]:
    """Return the sizes and the default of a column's declaration."""
    kind = column.args.get("kind")
    declared = _sizes(kind) if kind else {}
    if kind and kind.this == exp.DataType.Type.BIGDECIMAL:
        declared["type"] = "BIGNUMERIC"  # the sizes alone may be those of a NUMERIC
    default = column.find(exp.DefaultColumnConstraint)
    if default is not None:
        declared["defaultValueExpression"] = default.this.sql(dialect="bigquery")
    return declared
