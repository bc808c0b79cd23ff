from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.fleet.autoscale.machine_share import own_number, read_other_machines
from ops.rig.environment import Environment
from ops.runtime import metrics
from ops.runtime.pushgateway import Pusher

NUMBERS = st.dictionaries(st.text(max_size=3), st.integers(1, 99), min_size=1, max_size=6)


@given(NUMBERS, st.integers(0, 300))
def test_the_parts_of_all_machines_are_the_whole(numbers: Mapping[str, int], wanted: int) -> None:
    parts = {machine: own_number(machine, numbers, wanted) for machine in numbers}
    assert sum(parts.values()) == wanted
    rising = wanted >= sum(numbers.values())
    for machine, part in parts.items():
        assert part >= numbers[machine] if rising else part <= numbers[machine]


def test_workers_are_added_where_there_are_fewest_and_removed_where_there_are_most() -> None:
    numbers = {"b": 1, "a": 1, "c": 5}
    assert {each: own_number(each, numbers, 10) for each in "abc"} == {"a": 3, "b": 2, "c": 5}
    assert {each: own_number(each, numbers, 6) for each in "abc"} == {"a": 1, "b": 1, "c": 4}
    assert own_number("b", numbers, 7) == 1


@pytest.fixture
def environment() -> Iterator[Environment]:
    with Environment() as running:
        running.pushgateway()
        yield running


async def test_other_machines_are_those_whose_autoscalers_push(environment: Environment) -> None:
    own = environment.settings

    async def push(job: str, name: str) -> float:
        await Pusher(str(own.pushgateway_prometheus_host), job, name).push()
        return next(g.pushed_at for g in environment.pushed() if g.instance == name)

    metrics.WORKERS_WANTED.set(3)
    try:
        now = await push("gatekeeper_autoscaler", "w2:autoscale")
        await push("gatekeeper_autoscaler", f"{own.instance}:autoscale")
        await push("gatekeeper_worker", "w3:worker_00")
        metrics.WORKERS_WANTED.set(0)
        await push("gatekeeper_autoscaler", "web-1:autoscale")
    finally:
        metrics.WORKERS_WANTED.set(0)
    assert read_other_machines(own, now, 5.0) == {"w2": 3}
    assert read_other_machines(own, now + 10_000, 5.0) == {}


def test_without_a_pushgateway_the_other_machines_are_unknown() -> None:
    with Environment() as environment, pytest.raises(OSError, match="no answer"):
        read_other_machines(environment.settings, 0.0, 1.0)
