"""SQL reads and writes no file: neither of the user, nor the database's own.

local-bigquery passes what its parser does not know to DuckDB, which reads files by name
(`FROM read_text('…')`), writes them (`COPY … TO`), and attaches databases. Two independent walls
stand against that: only BigQuery's statements and tables reach DuckDB, and DuckDB itself is locked
into the directory of the database.
"""

from typing import Any

from local_bigquery.app import PROJECT_ID
from local_bigquery.catalog import names, routines
from local_bigquery.engine import database
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import extract, runner
from local_bigquery.sql import translate
from local_bigquery.sql.rules import row_access
from sqlglot import exp

# https://cloud.google.com/bigquery/docs/reference/standard-sql/introduction. A Command that
# local-bigquery knows, such as CREATE ROW ACCESS POLICY, is never translated.
_STATEMENTS = (
    exp.Query,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.TruncateTable,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
)
# Sources of rows that are no tables and that BigQuery has not.
_NOT_SOURCES = (exp.TableFromRows, exp.ReadCSV, exp.ReadParquet)
_TABLE_FUNCTIONS = {"RANGE_SESSIONIZE"}
_MAX_PROJECT_CHARACTERS = 63
_OWN_DATABASES = {"emulator", "bq", "memory", "system", "temp"}


def apply() -> None:
    """Refuse statements and sources that reach files; call it before the first translation."""
    rules = translate.STATEMENT_RULES
    # Policies are checked too: they become a part of the statement.
    rules.insert(rules.index(row_access.row_access_policies) + 1, refuse_files)
    refuse_load_and_extract()
    check_projects()


def lock(connection: Any) -> None:
    """Confine DuckDB to the working directory; no later statement can change that."""
    for statement in (
        "SET autoinstall_known_extensions = false",  # nothing is ever downloaded
        "SET autoload_known_extensions = false",
        "SET allowed_directories = ['.']",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)


def refuse_files(tree: exp.Expr, context: Any) -> exp.Expr:
    """Raise the error of a statement that BigQuery does not have, or of a source of rows."""
    if not isinstance(tree, _STATEMENTS):
        kind = tree.name if isinstance(tree, exp.Command) else type(tree).__name__
        raise BigQueryError("invalidQuery", f"Statement not supported: {kind.upper()}")
    for node in tree.find_all(exp.Table, exp.Lateral, *_NOT_SOURCES):
        if isinstance(node, exp.Table) and node.catalog:
            _check_project(node.catalog)
        if not _is_source(node, context):
            name = node.this.name if isinstance(node.this, exp.Expr) else node.name
            raise BigQueryError("invalidQuery", f"Table-valued function not found: {name}")
    return tree


def _is_source(node: exp.Expr, context: Any) -> bool:
    source = node.this
    if isinstance(node, exp.Lateral):
        return isinstance(source, exp.Subquery | exp.Unnest)
    if not isinstance(node, exp.Table) or node.args.get("rows_from"):
        return False
    if isinstance(source, exp.Anonymous):
        return _is_table_function(node, context)
    if isinstance(source, exp.Identifier):
        return not any(mark in part.name for part in node.parts for mark in "/\\\0")
    # CREATE SCHEMA has a dataset only.
    return source is None or isinstance(source, exp.VectorSearch)


def _is_table_function(node: exp.Table, context: Any) -> bool:
    if not node.args.get("db"):
        return node.this.name.upper() in _TABLE_FUNCTIONS
    project_id, dataset_id, _ = names.reference(node, context.project_id, context.dataset_id)
    return routines.load(project_id, dataset_id, node.this.name) is not None


def refuse_load_and_extract() -> None:
    """Refuse the jobs and the statement that read or write files of any place."""

    def refuse(*_: Any) -> Any:
        raise BigQueryError("accessDenied", "Access Denied: load and export are not available")

    runner.HANDLERS.update(load=refuse, extract=refuse)
    extract.write = refuse


def check_projects() -> None:
    """Refuse project names that are none: they become the names of files."""
    attach = database.attach

    def checked_attach(project_id: str) -> None:
        _check_project(project_id)
        attach(project_id)

    database.attach = checked_attach


def _check_project(project_id: str) -> None:
    reserved = project_id.lower() in _OWN_DATABASES or len(project_id) > _MAX_PROJECT_CHARACTERS
    if reserved or not PROJECT_ID.match(project_id):
        raise BigQueryError("invalid", f"Invalid project ID: {project_id}")
