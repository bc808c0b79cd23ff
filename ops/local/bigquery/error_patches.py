"""Changes to local-bigquery's errors: DuckDB's failures as BigQuery reports them."""

import os
from typing import Any

import duckdb
from local_bigquery import errors
from local_bigquery.jobs import query

from ops.runtime import log

logger = log.get(__name__)

EXIT_DATABASE = 70  # sysexits.h: EX_SOFTWARE; supervisord starts it again
# Texts of a full disk inside other errors of DuckDB, such as that of a commit.
_STORAGE_FAILURES = ("Could not write file", "File too large", "No space left on device")


def apply() -> None:
    report_conflicts_as_bigquery_does()
    report_storage_failures_as_bigquery_does()


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
        if isinstance(error, duckdb.IOException) or any(x in text for x in _STORAGE_FAILURES):
            cause = errors.DUCKDB_PREFIX.sub("", text.split("\n", 1)[0])
            return errors.BigQueryError("backendError", f"The storage failed: {cause}")
        return original(error, *rest)

    query.from_duckdb = errors.from_duckdb = from_duckdb
