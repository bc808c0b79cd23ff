"""What is changed in local-bigquery 0.3.2: each change small, with its reason beside it.

They bind to that exact version, which `apply` checks.
"""

import importlib.metadata
import importlib.util
import json
import os
import sys
import threading
from typing import Any

import duckdb
from local_bigquery import errors
from local_bigquery.catalog import ddl, metadata, tables
from local_bigquery.engine import database, types
from local_bigquery.jobs import query, runner, store
from local_bigquery.sql import translate
from local_bigquery.sql.dialect import BigQueryDialect
from sqlglot import exp

from ops.local import steady_clock
from ops.local.bigquery import recovery
from ops.local.bigquery.deadlines import Deadlines, check
from ops.local.bigquery.gate import Gate
from ops.runtime import log

logger = log.get(__name__)

VERSION = "0.3.2"
# DuckDB tries to import these at every statement; without pandas and polars installed that is
# hundreds of look-ups on disk for one transaction.
_OPTIONAL_MODULES = ("pandas", "polars", "ipywidgets", "torch", "tensorflow")
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types
_NUMERIC_WHOLE_DIGITS = 29
_UNSIZED = {(38, 9), (38, 18)}
"""How NUMERIC and BIGNUMERIC are stored that were declared without a size."""
EXIT_DATABASE = 70  # sysexits.h: EX_SOFTWARE; supervisord starts it again
# How DuckDB tells of a full disk inside other errors, such as that of a commit.
_STORAGE_FAILURES = ("Could not write file", "File too large", "No space left on device")


class WrongVersion(RuntimeError):
    """The installed local-bigquery is not the one that these changes were made for."""


def apply(gate: Gate) -> None:
    """Change the imported local_bigquery; call it once, before the database is opened."""
    installed = importlib.metadata.version("local-bigquery")
    if installed != VERSION:
        raise WrongVersion(f"local-bigquery {VERSION} is needed, {installed} is installed")
    forget_absent_modules()
    date_jobs_steadily()
    run_jobs_through(gate)
    refuse_twin_jobs()
    honour_job_timeouts()
    keep_the_job_table_small()
    report_conflicts_as_bigquery_does()
    report_storage_failures_as_bigquery_does()
    keep_bignumeric_digits()
    look_lists_up_in_a_table()
    tell_decimal_types_exactly()


def forget_absent_modules() -> None:
    """Let DuckDB learn at once that an optional module is missing: a tenth of each transaction."""
    for name in _OPTIONAL_MODULES:
        if importlib.util.find_spec(name) is None:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def date_jobs_steadily() -> None:
    """Date jobs by the clock that upkeep compares them with, one that never jumps."""
    metadata.now = lambda: str(int(steady_clock.now() * 1000))


def run_jobs_through(gate: Gate) -> None:
    """Let maintenance wait for jobs, and jobs for maintenance; give every job an end.

    A job whose last word could not be written, on a full disk, stayed RUNNING for ever.
    """
    execute = runner._execute  # noqa: SLF001

    def gated(job: Any, *rest: Any) -> None:
        reference = job.jobReference
        try:
            with gate.job():
                execute(job, *rest)
        except Exception:
            logger.exception("job_not_recorded", job_id=reference.jobId)
            recovery.settle_when_possible(reference.projectId, reference.jobId)
        finally:
            runner._running.pop((reference.projectId, reference.jobId), None)  # noqa: SLF001

    runner._execute = gated  # noqa: SLF001


def refuse_twin_jobs() -> None:
    """Make the check of a job id and its insertion one step: two requests at once both passed."""
    submit, one_at_a_time = runner.submit, threading.Lock()

    def submit_alone(*arguments: Any, **named: Any) -> Any:
        with one_at_a_time:
            return submit(*arguments, **named)

    runner.submit = submit_alone


def honour_job_timeouts() -> None:
    """End a job that is past its `jobTimeoutMs`, counted from its arrival, before it commits."""
    submit, execute, statement = runner.submit, runner._execute, query._statement  # noqa: SLF001
    deadlines = Deadlines()

    def timed_submit(project_id: str, job_id: str, configuration: Any, *rest: Any) -> Any:
        with deadlines.submitting(project_id, job_id, configuration):
            return submit(project_id, job_id, configuration, *rest)

    def timed_execute(job: Any, *rest: Any) -> None:
        deadlines.enter(job.jobReference.projectId, job.jobReference.jobId)
        execute(job, *rest)

    def timed_statement(*arguments: Any) -> Any:
        check()
        return statement(*arguments)

    runner.submit, runner._execute = timed_submit, timed_execute  # noqa: SLF001
    query._statement = timed_statement  # noqa: SLF001


def keep_the_job_table_small() -> None:
    """Store jobs without their parameters, and a script's statements with it, without its text.

    A batch of 4 MB was written a dozen times over, and each of its statements took a commit and the
    whole script once more: two fifths of the time of a batch.
    """
    here = threading.local()

    def save(job: Any) -> Any:
        lean, parent = job.model_copy(deep=False), job.statistics.parentJobId
        if job.configuration and job.configuration.query:
            left_out = {"queryParameters": None, **({"query": None} if parent else {})}
            bare = job.configuration.query.model_copy(update=left_out)
            lean.configuration = job.configuration.model_copy(update={"query": bare})
        waiting = [*getattr(here, "statements", ()), lean]
        here.statements = waiting if parent else []
        if not parent:
            _store(waiting)
        return job

    store.save = save


def _store(jobs: list[Any]) -> None:
    """Write jobs in one statement: one for each takes three times as long."""
    rows = {
        (job.jobReference.projectId, job.jobReference.jobId): (
            job.statistics.parentJobId,
            job.status.state,
            int(job.statistics.creationTime),
            json.dumps(job.dump()),
        )
        for job in jobs  # of the same one the last
    }
    values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO emulator.jobs VALUES {values}",  # noqa: S608  # placeholders
            [field for key, fields in rows.items() for field in (*key, *fields)],
        )


def report_conflicts_as_bigquery_does() -> None:
    """Give a lost race BigQuery's words; DuckLake's first line says nothing of the reason.

    https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
    """
    original = query.from_duckdb

    def from_duckdb(error: Exception, *rest: Any) -> Any:
        text = str(error)
        if isinstance(error, duckdb.TransactionException) and "conflict" in text.casefold():
            detail = text.split("\n", 1)[-1]
            return errors.BigQueryError(
                "invalidQuery", f"Transaction is aborted due to concurrent update: {detail}"
            )
        return original(error, *rest)

    query.from_duckdb = errors.from_duckdb = from_duckdb


def report_storage_failures_as_bigquery_does() -> None:
    """Say `backendError` where the disk fails, and leave where DuckDB gives up on its database.

    Both came as 400 invalidQuery, as if the statement were wrong. A job that fails so has changed
    nothing; DuckDB refuses everything after a fatal error until it is opened anew:
    https://cloud.google.com/bigquery/docs/error-messages.
    """
    errors.STATUSES.setdefault("backendError", (503, "UNAVAILABLE"))
    original = query.from_duckdb

    def from_duckdb(error: Exception, *rest: Any) -> Any:
        text = str(error)
        if isinstance(error, duckdb.FatalException) or "has been invalidated" in text:
            logger.error("database_given_up", error=text)
            os._exit(EXIT_DATABASE)
        if isinstance(error, duckdb.IOException) or any(x in text for x in _STORAGE_FAILURES):
            cause = errors.DUCKDB_PREFIX.sub("", text.split("\n", 1)[0])
            return errors.BigQueryError("backendError", f"The storage failed: {cause}")
        return original(error, *rest)

    query.from_duckdb = errors.from_duckdb = from_duckdb


def keep_bignumeric_digits() -> None:
    """Leave a text that INSERT or DELETE casts to BIGNUMERIC a text, for the column to convert.

    The cast went through DECIMAL(38,18), which rounds what has more than 18 decimals and refuses
    more than 20 digits before the point, whatever the column holds.
    """

    def rule(tree: exp.Expr, _context: Any) -> exp.Expr:
        if isinstance(tree, exp.Insert | exp.Delete):
            for cast in list(tree.find_all(exp.Cast)):
                if cast.to.this == exp.DataType.Type.BIGDECIMAL and not cast.to.expressions:
                    cast.replace(cast.this)
        return tree

    translate.STATEMENT_RULES.insert(0, rule)


def look_lists_up_in_a_table() -> None:
    """Make a join of `IN UNNEST(list)`, where the list is the same for every row.

    DuckDB got a search through the whole list for each row: the ledger's guard took half a second
    for 1,500 ids among 200,000 rows, and takes a tenth of that as a join.
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


def tell_decimal_types_exactly() -> None:
    """Report a decimal column as it was declared, and read all its digits.

    BIGNUMERIC(38,0) came back as NUMERIC and its longer values could not be read at all; a column
    that ALTER TABLE added came back without precision and scale, and so did all columns of a table
    that was made just before a kill: what is declared is written down in a second commit.
    """
    scalar, overlay, alteration = types._scalar, tables._overlay, ddl._alteration  # noqa: SLF001
    plain_field = types.field

    def uncut_scalar(kind: Any) -> tuple[str, str]:
        name, stored = scalar(kind)
        if kind.id == "decimal" and _is_wide(*(value for _, value in kind.children)):
            return name, str(kind)
        return name, stored

    def sized_field(name: str, kind: Any, required: bool = False) -> Any:  # noqa: FBT001, FBT002  # as it is there
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

    def declared_alteration(
        stored: Any, action: exp.Expr, reference: tuple[str, str, str], evaluate: Any
    ) -> dict[str, Any]:
        is_added = isinstance(action, exp.ColumnDef)
        declared = ddl._parameters(action.args.get("kind")) if is_added else {}  # noqa: SLF001
        if "precision" not in declared:
            found: dict[str, Any] = alteration(stored, action, reference, evaluate)
            return found
        size = min(int(declared["precision"]), 38), int(declared.get("scale", 0))
        # IF NOT EXISTS may have met a column of another size, which keeps its own.
        added = _decimals(*reference).get(action.name) == size
        fields = [
            field.replace(**declared) if added and field.name == action.name else field
            for field in tables.fields(stored)
        ]
        return {"schema": {"fields": fields}}

    types._scalar, tables._overlay = uncut_scalar, named_overlay  # noqa: SLF001
    types.field = sized_field
    ddl._alteration = declared_alteration  # noqa: SLF001


def _named(field: Any, declared: Any) -> Any:
    """Return a column with the size that it was declared with, or else is stored with."""
    if declared is not None and declared.precision:
        field = field.replace(precision=declared.precision, scale=declared.scale)
    if field.type == "NUMERIC" and _is_wide(field.precision or 0, field.scale or 0):
        return field.replace(type="BIGNUMERIC")
    return field


def _is_wide(precision: int | str, scale: int | str) -> bool:
    """Tell whether NUMERIC, which has 29 digits before the point, cannot hold such values."""
    return int(precision) - int(scale) > _NUMERIC_WHOLE_DIGITS


def _decimals(project_id: str, dataset_id: str, table_id: str) -> dict[str, tuple[int, int]]:
    """Return the precision and scale that each decimal column of a table is stored with."""
    rows = database.fetch(
        "SELECT column_name, numeric_precision, numeric_scale FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = ? AND table_name = ? "
        "AND starts_with(data_type, 'DECIMAL')",
        list(tables.physical(project_id, dataset_id, table_id)),
    )
    return {name: (precision, scale) for name, precision, scale in rows}
