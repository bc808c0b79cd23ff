from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from server.console.waiting_lanes import LANE_OLDEST, MOST, waiting_lanes

NOW = 1_700_000_000.0


def worker(name: str, ages: dict[str, float], age: float = 1.0) -> PushedGroup:
    lanes = [LabelledValue({"lane": lane}, oldest) for lane, oldest in ages.items()]
    pushed = [LabelledValue({}, NOW - age)]
    return PushedGroup("gatekeeper_worker", name, {LANE_OLDEST: lanes, "push_time_seconds": pushed})


def test_only_lanes_that_wait_are_shown_the_oldest_first_with_its_worker() -> None:
    groups = [
        worker("a", {"lane-00": 0.0, "lane-01": 2.0, "lane-02": 9.0}),
        worker("b", {"lane-01": 5.0, "lane-03": 0.0}),
        worker("killed", {"lane-04": 900.0}, age=60.0),
    ]
    assert waiting_lanes(groups, NOW, 17.0) == [
        {"lane": "lane-02", "oldest_seconds": 9.0, "worker": "a"},
        {"lane": "lane-01", "oldest_seconds": 5.0, "worker": "b"},
    ]


def test_as_many_as_a_person_reads() -> None:
    group = worker("a", {f"lane-{number:02}": 1.0 + number for number in range(32)})
    found = waiting_lanes([group], NOW, 17.0)
    assert [each["lane"] for each in found] == [f"lane-{31 - n:02}" for n in range(MOST)]
