"""How DuckDB's own failures are told: as the service's, never as the statement's."""

import subprocess
import sys

import pytest

from ops.local.bigquery.patches import EXIT_DATABASE

TOLD = """
import duckdb
from local_bigquery import errors
from ops.local.bigquery import patches

patches.report_storage_failures_as_bigquery_does()
told = errors.from_exception(duckdb.{error})
print(told.code, told.reason, told.message)
"""


def told(error: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TOLD.format(error=error)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "error",
    [
        "IOException('IO Error: Could not write file: No space left on device')",
        "TransactionException('TransactionContext Error: Commit: No space left on device')",
    ],
)
def test_a_full_disk_is_a_backend_error(error: str) -> None:
    code, reason, message = told(error).stdout.strip().split(" ", 2)
    assert (code, reason) == ("503", "backendError")
    assert "Context" not in message
    assert "No space left" in message


def test_a_wrong_statement_stays_one() -> None:
    assert told("ParserException('syntax error at or near x')").stdout.startswith("400 invalidQ")


def test_a_fatal_error_ends_the_process_for_supervisord_to_start_it_again() -> None:
    given_up = told("FatalException('FATAL Error: Failed: database has been invalidated')")
    assert given_up.returncode == EXIT_DATABASE
