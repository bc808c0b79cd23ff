"""The API's description, held against the server that gives it: no answer is outside of it."""

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

from server.app import ROUTES
from server.route import Route
from tests.support.server import Server

EXAMPLES = 60

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


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_no_answer_is_outside_of_the_description(
    described: schemathesis.BaseSchema, route: Route, mode: GenerationMode
) -> None:
    operation = described[route.path][route.method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def held(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    if mode is GenerationMode.NEGATIVE and not (route.body or route.parameters):
        pytest.skip("nothing in the request can be wrong")
    held()
