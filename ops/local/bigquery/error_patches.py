"""Changes to local-bigquery's errors: DuckDB's failures as BigQuery reports them."""

import errno
import os
import re
import sys
from typing import Any

import duckdb
from local_bigquery import errors
from local_bigquery.jobs import query, runner
from local_bigquery.sql import script

from ops.runtime import log

logger = log.get(__name__)

EXIT_DATABASE = 70  # sysexits.h: EX_SOFTWARE; supervisord starts it again
# Texts of a full disk inside other errors of DuckDB, such as that of a commit.
_STORAGE_FAILURES = ("Could not write file", "File too large", "No space left on device")
_PLACE = re.compile(r" at \[\d+:\d+\]$")

# What Python raises for a statement that local-bigquery cannot handle: always, so it is final.
_FINAL = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def apply() -> None:
    report_conflicts_as_bigquery_does()
    report_storage_failures_as_bigquery_does()
    report_final_failures_as_final()
    name_the_statement_that_failed()


def report_conflicts_as_bigquery_does() -> None:
    """Report a conflict in BigQuery's words; DuckLake's first line does not contain the reason.

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
    """Report `backendError` when the disk fails; exit when DuckDB has invalidated its database.

    Both came as 400 invalidQuery, as if the statement were wrong. A job with this error has changed
    nothing; after a fatal error DuckDB refuses everything until it is opened again:
    https://cloud.google.com/bigquery/docs/error-messages.
    """
    errors.STATUSES.setdefault("backendError", (503, "UNAVAILABLE"))
    original = query.from_duckdb

    def from_duckdb(error: Exception, *rest: Any) -> Any:
        text = str(error)
        if isinstance(error, duckdb.FatalException) or "has been invalidated" in text:
            logger.error("database_invalidated", error=text)
            os._exit(EXIT_DATABASE)
        if os.strerror(errno.ENAMETOOLONG) in text:
            return errors.BigQueryError("invalid", "The name is too long for a file of the storage")
        if isinstance(error, duckdb.OutOfMemoryException):
            return errors.BigQueryError("resourcesExceeded", text.split("\n", 1)[0])
        if isinstance(error, duckdb.IOException) or any(x in text for x in _STORAGE_FAILURES):
            cause = errors.DUCKDB_PREFIX.sub("", text.split("\n", 1)[0])
            return errors.BigQueryError("backendError", f"The storage failed: {cause}")
        return original(error, *rest)

    query.from_duckdb = errors.from_duckdb = from_duckdb


def report_final_failures_as_final() -> None:
    """Report 400 for what fails at every try: after a 500 clients try again.

    A statement that is too deep for the parser is refused by BigQuery as well:
    https://cloud.google.com/bigquery/docs/error-messages, resourcesExceeded.
    """
    errors.STATUSES.setdefault("resourcesExceeded", (400, "INVALID_ARGUMENT"))
    original = errors.from_exception

    def from_exception(error: Exception) -> Any:
        if isinstance(error, RecursionError | MemoryError):
            return errors.BigQueryError("resourcesExceeded", "The statement is too complex")
        found = original(error)
        if found.reason == "dontRetry" and isinstance(error, _FINAL):
            logger.error("statement_failed", error=repr(error))
            return errors.BigQueryError("invalidQuery", found.message)
        return found

    application: Any = sys.modules["local_bigquery.app"]  # the package's `app` is the ASGI one
    for module in (errors, runner, script, application):
        module.from_exception = from_exception


def name_the_statement_that_failed() -> None:
    """End the error of a script with the place of its statement, `at [line:column]`, as BigQuery.

    The text of a query that is a single statement stays as it is.
    """
    parse, statements = script.Parser.statement, script.Interpreter.statements

    def placed(parser: Any) -> Any:
        token = parser.tokens[parser.i]
        found = parse(parser)
        found.place = errors.position(token)
        return found

    def run(interpreter: Any, given: list[Any]) -> None:
        if len(given) == 1 or any(each.kind == "DECLARE" for each in given):
            statements(interpreter, given)
            return
        for each in given:
            try:
                statements(interpreter, [each])
            except errors.BigQueryError as error:
                place = getattr(each, "place", "")  # a group of our own has none
                if place and not _PLACE.search(error.message):
                    error.message += f" at [{place}]"
                raise

    script.Parser.statement, script.Interpreter.statements = placed, run
