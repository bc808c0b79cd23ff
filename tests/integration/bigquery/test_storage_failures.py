"""DuckDB's own failures are reported as the service's, never as the statement's."""

import subprocess
import sys

import pytest

from ops.local.bigquery.error_patches import EXIT_DATABASE

SCRIPT = """
import duckdb
from local_bigquery import errors
from ops.local.bigquery import error_patches

error_patches.report_storage_failures_as_bigquery_does()
reported = errors.from_exception(duckdb.{error})
print(reported.code, reported.reason, reported.message)
"""


def reported(error: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(error=error)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "error",
    [
        "IOException('IO Error: Could not write file: No space left on device')",
        "TransactionException('TransactionContext Error: Commit: No space left on device')",
    ],
)
def test_a_full_disk_is_a_backend_error(error: str) -> None:
    code, reason, message = reported(error).stdout.strip().split(" ", 2)
    assert (code, reason) == ("503", "backendError")
    assert "Context" not in message
    assert "No space left" in message


def test_a_wrong_statement_stays_one() -> None:
    assert reported("ParserException('syntax error at or near x')").stdout.startswith(
        "400 invalidQ"
    )


def test_a_fatal_error_ends_the_process_for_supervisord_to_start_it_again() -> None:
    process = reported("FatalException('FATAL Error: Failed: database has been invalidated')")
    assert process.returncode == EXIT_DATABASE
