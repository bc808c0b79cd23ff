"""A span for each request of the API, in the trace that its `traceparent` names, or a new one."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.trace import SpanKind, StatusCode

from ops.runtime.tracing import TRACER, context_of
from server.http.middleware import route_of

_TRACED = "/api/"


@web.middleware
async def trace_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Trace a request and its line in the log; the names are OpenTelemetry's own.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    """
    if not request.path.startswith(_TRACED):
        return await handler(request)
    method, route = request.method, route_of(request)
    with TRACER.start_as_current_span(
        f"{method} {route}",
        context_of(request.headers),
        SpanKind.SERVER,
        {"http.request.method": method, "http.route": route},
    ) as span:
        response = await handler(request)
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        return response
