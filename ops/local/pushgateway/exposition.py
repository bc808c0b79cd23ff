"""Prometheus' text format 0.0.4: texts to metric families, and back. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import math
import re
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
# The label of these types that is a number: `le="1.0"` is exposed as `le="1"`.
_BOUNDS = {"histogram": "le", "summary": "quantile"}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TYPE_LINE = re.compile(r"^[ \t]*#[ \t]*TYPE[ \t]+(\S+)[ \t]+(\S+)[ \t\r]*$", re.MULTILINE)

type Labels = tuple[tuple[str, str], ...]


class InvalidExposition(ValueError):
    """The text is not in the format, or a push must not contain it; the message has the reason."""


def parse(text: str) -> dict[str, Metric]:
    """Return the families of a text by name; raise `InvalidExposition`."""
    families: dict[str, Metric] = {}
    try:
        if text and not text.endswith("\n"):
            raise ValueError("unexpected end of input stream")  # noqa: TRY301
        types = _types(text)
        # The parser renames counters as OpenMetrics does, so it gets them as gauges.
        for metric in text_string_to_metric_families(_TYPE_LINE.sub(_without_counter, text)):
            _add(families, metric, types.get(metric.name, "untyped"))
    # The parser raises IndexError for an empty label name, OverflowError for a very large integer.
    except (ValueError, IndexError, OverflowError) as fault:
        raise InvalidExposition(f"text format parsing error: {fault}") from None
    return {name: family for name, family in families.items() if family.samples}


def _types(text: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for name, kind in _TYPE_LINE.findall(text):
        if name in types:
            raise ValueError(f"second TYPE line for {name!r}")
        if kind.lower() not in _TYPES:
            raise ValueError(f"unknown metric type {kind!r}")
        types[name] = kind.lower()
    return types


def _without_counter(line: re.Match[str]) -> str:
    kind = line[2].lower()
    return f"# TYPE {line[1]} {'gauge' if kind == 'counter' else kind}"


def _add(families: dict[str, Metric], metric: Metric, kind: str) -> None:
    """Add a metric of the parser, which returns a family in parts when others interrupt it."""
    family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, kind))
    if family.samples and metric.type != "unknown":
        raise ValueError(f"TYPE reported after samples, for {metric.name!r}")
    family.documentation = family.documentation or metric.documentation
    family.samples += [_checked(sample, _BOUNDS.get(kind)) for sample in metric.samples]


def _checked(sample: Sample, bound: str | None) -> Sample:
    for name in (sample.name, *sample.labels):
        if not _NAME.fullmatch(name):
            raise ValueError(f"invalid name {name!r}")
    labels = {k: number(float(v)) if k == bound else v for k, v in sample.labels.items()}
    return Sample(sample.name, labels, float(sample.value), sample.timestamp)


def render(families: Iterable[Metric]) -> str:
    """Return the text of the families, in the given order."""
    lines: list[str] = []
    for family in families:
        if family.documentation:
            text = family.documentation.replace("\\", "\\\\").replace("\n", "\\n")
            lines.append(f"# HELP {family.name} {text}")
        kind = "untyped" if family.type == "unknown" else family.type
        lines.append(f"# TYPE {family.name} {kind}")
        lines.extend(map(_line, family.samples))
    return "\n".join(lines) + "\n" if lines else ""


def _line(sample: Sample) -> str:
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(sample.labels.items()))
    labels = f"{{{pairs}}}" if pairs else ""
    return f"{sample.name}{labels} {number(sample.value)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """Return a number as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
