"""Traces, by OpenTelemetry: off until OTEL_EXPORTER_OTLP_ENDPOINT is set.

A request is a span, and each of its transactions a span in it, whose context goes with the message
as its attribute `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header). A batch
has transactions of many requests: its span begins a new trace and has a link to each of them.
Where traces are off, spans do nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ops.runtime.settings import Settings

TRACER: Final = trace.get_tracer("gatekeeper")
ID: Final = "gatekeeper.transaction.id"
"""The attribute of a span that has a transaction's id, as the answer to its request has it."""
MAX_LINKS: Final = 1_000
"""Of a batch. The others are found by their transactions' ids in the ledger."""
EXPORT_SECONDS: Final = 2.0
"""For one call of the collector, and so the longest wait for it of a process that ends."""

_CONTEXTS: Final = TraceContextTextMapPropagator()


@contextlib.contextmanager
def exporting_traces(process: str, settings: Settings) -> Iterator[None]:
    """Export the spans of this process during the block, if the settings name a collector.

    Its other variables, such as OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS, OpenTelemetry
    reads from the environment. Spans that the collector does not take are lost.
    """
    if settings.otel_exporter_otlp_endpoint is None:
        yield
        return
    # A process without traces must not load it: 30 MB and a quarter of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
    machine, _, own = process.partition(":")
    names = {"service.name": f"gatekeeper-{own.partition('_')[0]}", "service.instance.id": process}
    provider = TracerProvider(
        resource=Resource.create({**names, "host.name": machine}),
        span_limits=SpanLimits(max_links=MAX_LINKS),
    )
    exporter = OTLPSpanExporter(endpoint, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def context_of(headers: Mapping[str, str]) -> Context:
    """Return the context that a request's `traceparent` names; an empty one without a valid one."""
    return _CONTEXTS.extract(headers, Context())


def begin_transaction(id_: str) -> trace.Span:
    """Begin the span of a transaction on its way to Pub/Sub."""
    return TRACER.start_span("publish", kind=SpanKind.PRODUCER, attributes={ID: id_})


def end_with(span: trace.Span, outcome: asyncio.Future[Any]) -> None:
    """End a span when an outcome is known."""
    outcome.add_done_callback(partial(_end, span))


def _end(span: trace.Span, outcome: asyncio.Future[Any]) -> None:
    if outcome.cancelled() or outcome.exception() is not None:
        span.set_status(trace.StatusCode.ERROR)
    span.end()


def traceparent(span: trace.Span) -> str:
    """Return the attribute's text; empty where traces are off."""
    carrier: dict[str, str] = {}
    _CONTEXTS.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent", "")


@contextlib.contextmanager
def batch_span(lane: int, traceparents: Iterable[str]) -> Iterator[None]:
    """Trace a batch, if at least one of its transactions is traced."""
    contexts = {text: _span_context(text) for text in traceparents if text}
    links = [Link(each) for each in contexts.values() if each.trace_flags.sampled]
    if not links:
        yield
        return
    attributes = {"gatekeeper.lane": lane}
    with TRACER.start_as_current_span(
        "settle batch", Context(), SpanKind.CONSUMER, attributes, links
    ):
        yield


def _span_context(text: str) -> SpanContext:
    return trace.get_current_span(context_of({"traceparent": text})).get_span_context()


def current_trace() -> str:
    """Return the current trace's id, 32 hex digits; empty without one."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
