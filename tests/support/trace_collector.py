"""An OpenTelemetry collector on loopback: takes spans by OTLP over HTTP."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class ExportedSpan(NamedTuple):
    """A span, its ids in hex; `links` are the traces and spans that it links to."""

    service: str
    name: str
    trace: str
    parent: str
    own: str
    attributes: dict[str, str]
    links: list[tuple[str, str]]


class TraceCollector(ThreadingHTTPServer):
    """Keeps what processes export."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SpanHandler)
        self.spans: list[ExportedSpan] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str, **attributes: str) -> list[ExportedSpan]:
        """Return the spans with a name and these attributes; a `_` in a name is a `.`."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        return [
            span
            for span in self.spans
            if span.name == name and wanted.items() <= span.attributes.items()
        ]

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = _attributes(resource.resource)["service.name"]
            for span in (each for scope in resource.scope_spans for each in scope.spans):
                self.spans.append(
                    ExportedSpan(
                        service,
                        span.name,
                        span.trace_id.hex(),
                        span.parent_span_id.hex(),
                        span.span_id.hex(),
                        _attributes(span),
                        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    )
                )


def _attributes(of: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in of.attributes}


class _SpanHandler(BaseHTTPRequestHandler):
    server: TraceCollector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.take(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
