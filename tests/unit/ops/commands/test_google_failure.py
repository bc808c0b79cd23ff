from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import BadRequest
from requests import exceptions

from ops.commands.google_failure import CALL_ERRORS, google_failure, one_line
from ops.runtime.settings import Settings


@pytest.mark.parametrize("kind", [exceptions.ConnectionError, exceptions.ReadTimeout])
def test_a_bigquery_that_does_not_answer_is_named_with_its_address(
    kind: type[Exception], tmp_path: Path
) -> None:
    settings = Settings.load({}, dotenv=tmp_path / "no.env")
    error = kind("nothing came")
    assert isinstance(error, CALL_ERRORS)
    assert "BigQuery does not answer at 127.0.0.1:9050" in str(google_failure(error, settings))


SYNTAX = 'Syntax error: Unexpected identifier "SELEKT" at [1:1]'


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        (
            f"{SYNTAX}; reason: invalidQuery, location: query, message: {SYNTAX}",
            [{"reason": "invalidQuery", "location": "query", "message": SYNTAX}],
        ),
        (
            f"POST https://bigquery.googleapis.com/bigquery/v2/projects/p/queries: {SYNTAX}",
            [{"reason": "invalidQuery", "message": SYNTAX}, {"message": SYNTAX}],
        ),
        (f"GET https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs/j: {SYNTAX}", []),
        (SYNTAX, [grpc.RpcError()]),
        (SYNTAX.replace(" at", "\nat"), []),
    ],
)
def test_what_bigquery_says_is_printed_once_and_without_an_address(
    message: str, errors: list[Any]
) -> None:
    assert one_line(BadRequest(message, errors=errors)) == SYNTAX
