"""Prometheus' text format 0.0.4: texts to families of samples, and back. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
# The parts of a histogram or a summary have names of their own.
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}

# The label of these types that is a number, exposed as one: `le="1.0"` comes back as `le="1"`.
_BOUNDS = {"histogram": "le", "summary": "quantile"}

_COMMENT = re.compile(r"#[ \t]*(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]+(.*))?$")
_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    r'(?:\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"[ \t]*(?P<value>\S+)(?:[ \t]+(?P<time>-?\d+))?$"
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = tuple[tuple[str, str], ...]


class InvalidExposition(ValueError):
    """The text is not in the format, or holds what a push must not; the message says where."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: the full name (with `_bucket` and the like), sorted labels, the value."""

    name: str
    labels: Labels
    value: float


@dataclass(slots=True)
class Family:
    """The samples that share a name, with its type and help."""

    name: str
    type: str = "untyped"
    help: str = ""
    samples: list[Sample] = field(default_factory=list)


def parse(text: str) -> dict[str, Family]:
    """Return the families of a text by name; raise `InvalidExposition`.

    Timestamps are refused, as the Pushgateway refuses them.
    """
    families: dict[str, Family] = {}
    if text and not text.endswith("\n"):
        last = text.count("\n") + 1
        raise InvalidExposition(
            f"text format parsing error in line {last}: unexpected end of input stream"
        )
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        try:
            if stripped.startswith("#"):
                _comment(families, stripped)
            elif stripped:
                _sample(families, stripped)
        except InvalidExposition as fault:
            raise InvalidExposition(
                f"text format parsing error in line {number}: {fault}"
            ) from None
    return {name: family for name, family in families.items() if family.samples}


def _comment(families: dict[str, Family], line: str) -> None:
    match = _COMMENT.match(line)
    if match is None:
        return  # a comment in the plain sense
    kind, name, rest = match[1], match[2], (match[3] or "").strip()
    family = families.setdefault(name, Family(name))
    if kind == "HELP":
        family.help = re.sub(r"\\[\\n]", lambda m: _ESCAPES[m[0]], rest)
    elif rest.lower() not in TYPES:
        raise InvalidExposition(f"unknown metric type {rest!r}")
    elif family.samples:
        raise InvalidExposition(f"second TYPE line, or TYPE reported after samples, for {name!r}")
    else:
        family.type = rest.lower()


def _sample(families: dict[str, Family], line: str) -> None:
    match = _SAMPLE.match(line)
    if match is None:
        raise InvalidExposition(f"not a sample: {line[:80]!r}")
    name = match["name"]
    if match["time"] is not None:
        raise InvalidExposition("pushed metrics must not have timestamps")
    labels = _labels(match["labels"] or "")
    try:
        value = float(match["value"])
    except ValueError:
        raise InvalidExposition(f"expected float as value, got {match['value']!r}") from None
    owner = _owner(families, name)
    family = families.setdefault(owner, Family(owner))
    bound = _BOUNDS.get(family.type)
    labels = tuple((k, _number_of(v) if k == bound else v) for k, v in labels)
    family.samples.append(Sample(name, labels, value))


def _number_of(text: str) -> str:
    try:
        return number(float(text))
    except ValueError:
        raise InvalidExposition(f"expected float as bound, got {text!r}") from None


def _labels(text: str) -> Labels:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip(" \t,")):
        match = _LABEL.match(text, position)
        if match is None:
            raise InvalidExposition(f"invalid labels {text[position:][:80]!r}")
        if match[1] in labels:
            raise InvalidExposition(f"label name {match[1]!r} is not unique")
        labels[match[1]] = re.sub(r'\\[\\"n]', lambda m: _ESCAPES[m[0]], match[2])
        position = match.end()
    return tuple(sorted(labels.items()))


def _owner(families: Mapping[str, Family], name: str) -> str:
    for kind, parts in _PARTS.items():
        for part in parts:
            owner = name.removesuffix(part)
            if owner != name and owner in families and families[owner].type == kind:
                return owner
    return name


def render(families: Iterable[Family]) -> str:
    """Return the text of the families, in the order given."""
    lines: list[str] = []
    for family in families:
        if family.help:
            text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
            lines.append(f"# HELP {family.name} {text}")
        lines.append(f"# TYPE {family.name} {family.type}")
        lines.extend(map(_line, family.samples))
    return "\n".join(lines) + "\n" if lines else ""


def _line(sample: Sample) -> str:
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in sample.labels)
    labels = f"{{{pairs}}}" if pairs else ""
    return f"{sample.name}{labels} {number(sample.value)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """Return a sample's value as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
