import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import LogCapture

from ops.fleet.autoscale.autoscaler import Autoscaler
from ops.fleet.autoscale.policy import AutoscalePolicy
from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.supervisord import SupervisordUnreachable

POLICY = AutoscalePolicy(target_seconds=30, least=1, most=8)


class FakeSupervisord:
    """A supervisord with a number of workers; methods in `away` fail."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.away: set[str] = set()

    def call(self, method: str, *arguments: Any) -> Any:
        if method in self.away:
            raise SupervisordUnreachable("supervisord does not answer")
        assert arguments[0] == "worker"
        if method == "fleet.scale":
            self.workers = arguments[1]
        return self.workers


class FakeBacklog:
    """Answers with a backlog, or raises an error."""

    def __init__(self) -> None:
        self.answer: SubscriptionBacklog | Exception = SubscriptionBacklog(0, 0.0)

    def __call__(self) -> SubscriptionBacklog:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class AutoscalerUnderTest:
    """The autoscaler of machine `m`; `others` has the workers of the other machines."""

    def __init__(self, workers: int) -> None:
        self.fleet, self.source, self.now = FakeSupervisord(workers), FakeBacklog(), 0.0
        self.others: dict[str, int] | Exception = {}
        self.scaler = Autoscaler(
            POLICY, self.fleet, self.source, "m", self.read_others, lambda: self.now
        )

    def read_others(self) -> dict[str, int]:
        if isinstance(self.others, Exception):
            raise self.others
        return self.others

    def sample(self, answer: SubscriptionBacklog | Exception) -> int:
        self.now += 5
        self.source.answer = answer
        self.scaler.tick()
        return self.fleet.workers


@pytest.fixture
def events() -> Iterator[Callable[[], list[tuple[str, dict[str, Any]]]]]:
    """What was logged: the action and the fields."""
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(
        processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("info")
    )
    yield lambda: [
        (each["event"], {k: v for k, v in each.items() if k not in {"event", "log_level"}})
        for each in capture.entries
    ]
    structlog.configure(**before)


def sample(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None, name
    return value


def test_a_decision_is_made_true_logged_and_counted(events: Any) -> None:
    bench = AutoscalerUnderTest(2)
    before = sample("gatekeeper_autoscale_decisions_total", direction="up")
    assert bench.sample(SubscriptionBacklog(5000, 44.96)) == 6
    ((action, fields),) = events()
    assert action == "scaled"
    assert "does not shrink" in fields.pop("reason")
    assert fields == {"from": 2, "to": 6, "fleet": 6, "oldest_age_seconds": 45.0, "backlog": 5000}
    assert sample("gatekeeper_autoscale_decisions_total", direction="up") == before + 1
    assert sample("gatekeeper_workers_wanted") == 6
    assert sample("gatekeeper_backlog_transactions") == 5000
    assert sample("gatekeeper_backlog_oldest_age_seconds") == 44.96


def test_without_data_nothing_is_decided_and_it_is_said_once(events: Any) -> None:
    bench = AutoscalerUnderTest(12)
    away = ConnectionError("Pub/Sub at 127.0.0.1:1: does not answer")
    before = sample("gatekeeper_backlog_unseen_total")
    for _ in range(3):
        assert bench.sample(away) == 12
    assert [action for action, _ in events()] == ["backlog_unseen"]
    assert sample("gatekeeper_backlog_unseen_total") == before + 3
    assert math.isnan(sample("gatekeeper_backlog_transactions"))
    assert math.isnan(sample("gatekeeper_backlog_oldest_age_seconds"))
    assert bench.sample(SubscriptionBacklog(0, 0.0)) == 8


def test_a_decision_that_supervisord_does_not_hear_is_made_again(events: Any) -> None:
    bench = AutoscalerUnderTest(1)
    bench.fleet.away = {"fleet.scale"}
    assert bench.sample(SubscriptionBacklog(9000, 31.0)) == 1
    bench.fleet.away = set()
    assert bench.sample(SubscriptionBacklog(9000, 36.0)) > 1
    assert [action for action, _ in events()] == ["scale_failed", "scaled"]


def test_where_supervisord_cannot_tell_the_number_nothing_is_decided() -> None:
    bench = AutoscalerUnderTest(1)
    bench.fleet.away = {"fleet.number"}
    assert bench.sample(SubscriptionBacklog(9000, 300.0)) == 1


def test_machines_share_a_step_that_one_backlog_asks_for() -> None:
    """Alone each would take the whole step: nine workers instead of seven."""
    machines = {name: AutoscalerUnderTest(1) for name in "abc"}
    for name, each in machines.items():
        each.scaler = Autoscaler(
            POLICY, each.fleet, each.source, name, each.read_others, lambda: 0.0
        )
        each.others = {other: 1 for other in machines if other != name}
    for each in machines.values():
        each.sample(SubscriptionBacklog(5000, 31.0))
    assert [each.fleet.workers for each in machines.values()] == [3, 2, 2]


def test_of_machines_that_have_a_worker_too_many_one_drains_it() -> None:
    machines = {name: AutoscalerUnderTest(2) for name in "mn"}
    machines["m"].others = {"n": 2}
    other = machines["n"]
    other.others = {"m": 2}
    other.scaler = Autoscaler(
        POLICY, other.fleet, other.source, "n", other.read_others, lambda: other.now
    )
    for _ in range(13):  # longer than the cool-down of 60 s
        for each in machines.values():
            each.sample(SubscriptionBacklog(0, 0.0))
    assert [each.fleet.workers for each in machines.values()] == [1, 2]


def test_a_machine_without_workers_gets_none() -> None:
    bench = AutoscalerUnderTest(0)
    assert bench.sample(SubscriptionBacklog(5000, 300.0)) == 0


def test_a_machine_that_cannot_see_the_others_decides_alone_and_logs_it_once(events: Any) -> None:
    bench = AutoscalerUnderTest(1)
    bench.others = ConnectionError("no answer at 127.0.0.1:1")
    assert bench.sample(SubscriptionBacklog(0, 0.0)) == 1
    assert bench.sample(SubscriptionBacklog(9000, 60.0)) == 4
    assert [action for action, _ in events()] == ["other_machines_unseen", "scaled"]
