"""The API's description, held against the server that gives it: no answer is outside of it."""

import json
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from schema import COLUMN_NAME, TABLE_NAME
from server.api import ROUTES, Route
from tests.support.server import LIMIT, Server

EXAMPLES = 30

CHECKS = [
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@schemathesis.serializer("application/x-ndjson")
def _as_sent(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    del ctx
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.fixture(scope="session")
def described(server: Server) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


CASES = [
    (route, mode)
    for route in ROUTES
    for mode in GenerationMode
    # Without a body and parameters nothing can be wrong in a request.
    if mode is GenerationMode.POSITIVE or route.body or route.parameters
]


@pytest.mark.parametrize(
    ("route", "mode"), CASES, ids=[f"{route.path} {mode.value}" for route, mode in CASES]
)
def test_no_answer_is_outside_of_the_description(
    described: schemathesis.BaseSchema, route: Route, mode: GenerationMode
) -> None:
    operation = described[route.path][route.method]
    # Any text at all is a batch: the faults are listed line by line.
    checks = [
        check
        for check in CHECKS
        if check is not negative_data_rejection or not route.path.endswith("/batch")
    ]

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def held(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=checks)

    held()


def test_the_description_has_every_route_and_the_rules_own_patterns(server: Server) -> None:
    status, document, _ = server.ask("/openapi.json")

    assert (status, document["openapi"]) == (200, "3.1.0")
    documented = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert documented == {(route.method, route.path) for route in ROUTES}
    schemas = document["components"]["schemas"]
    assert TABLE_NAME.pattern in schemas["TableName"]["pattern"]
    assert COLUMN_NAME.pattern in schemas["ColumnName"]["pattern"]
    assert f"{LIMIT:,} bytes" in document["info"]["description"]
    assert "security" not in json.dumps(document)


def test_with_keys_the_description_is_open_and_says_that_they_are_needed(guarded: Server) -> None:
    status, document, _ = guarded.ask("/openapi.json")

    assert status == 200
    for path, methods in document["paths"].items():
        for operation in methods.values():
            guards = path.startswith("/api/")
            assert ("security" in operation, "401" in operation["responses"]) == (guards, guards)
