import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import prometheus_client
import pytest
import yaml

from ops.fleet.config import ROOT
from ops.runtime import metrics

MONITORING = ROOT / "ops" / "monitoring"

# What each type of metric is called where it is scraped; gauges keep their name.
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
# Of the Pushgateway for each group, of Prometheus itself, and of prometheus_client on Linux.
_OTHERS = {"push_time_seconds", "push_failure_time_seconds", "up", "ALERTS"}
_PROCESS = {
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
_OTHER_LABELS = {"alertname", "alertstate", "instance", "job", "le"}

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_MATCHERS = re.compile(r"\{[^}]*\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"(?<![\w:])[A-Za-z_:][\w:]*(?![\w:])(?!\s*\()")
_OPERATORS = {"and", "or", "unless", "bool", "offset"}


class Query(NamedTuple):
    """The metrics and labels in a PromQL expression."""

    metrics: set[str]
    labels: set[str]

    @classmethod
    def parse(cls, expression: str) -> "Query":
        bare = _STRING.sub("", expression)
        labels: set[str] = set()
        for text in [*_MATCHERS.findall(bare), *_LABEL_LIST.findall(bare)]:
            labels |= set(_NAME.findall(text))
        for part in (_MATCHERS, _RANGE, _LABEL_LIST):
            bare = part.sub(" ", bare)
        return cls(set(_NAME.findall(bare)) - _OPERATORS, labels)


class Rules(NamedTuple):
    recorded: list[dict[str, Any]]
    alerts: list[dict[str, Any]]

    def expressions(self) -> Iterator[str]:
        return (rule["expr"] for rule in [*self.recorded, *self.alerts])


class Vocabulary(NamedTuple):
    """Every metric and label that a query may use."""

    metrics: set[str]
    labels: set[str]

    def unknown(self, expression: str) -> set[str]:
        query = Query.parse(expression)
        assert query.metrics, f"no metric in: {expression}"
        return (query.metrics - self.metrics) | (query.labels - self.labels)


@pytest.fixture(scope="session")
def monitoring() -> Path:
    return MONITORING


@pytest.fixture(scope="session")
def rules() -> Rules:
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    every = [rule for group in groups for rule in group["rules"]]
    return Rules(
        [rule for rule in every if "record" in rule], [rule for rule in every if "alert" in rule]
    )


@pytest.fixture(scope="session")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def vocabulary(rules: Rules) -> Vocabulary:
    pushed = {
        family.name + suffix
        for family in prometheus_client.REGISTRY.collect()
        for suffix in _SUFFIXES.get(family.type, [""])
    }
    labels = {
        label
        for metric in vars(metrics).values()
        for names in ("_labelnames", "label_names")
        for label in getattr(metric, names, ())
    }
    recorded = {rule["record"] for rule in rules.recorded}
    return Vocabulary(pushed | recorded | _OTHERS | _PROCESS, labels | _OTHER_LABELS)
