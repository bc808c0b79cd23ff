from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from ops.runtime.settings import Settings
from server.console.largest_rates import LARGEST, LargestRates

NOW = 1_700_000_000.0


def push(job: str, at: float, table_counts: dict[str, float], outcome: str) -> PushedGroup:
    samples = {"push_time_seconds": [LabelledValue({}, NOW + at)]}
    for label in ("table", "source"):
        samples[f"gatekeeper_{label}_transactions_total"] = [
            LabelledValue({label: name, "outcome": outcome}, count)
            for name, count in table_counts.items()
        ]
    return PushedGroup(job, job, samples)


def test_servers_and_workers_are_added_up_by_name() -> None:
    rates = LargestRates(Settings.parse({}))
    assert rates.of("table") is None
    for at in (0.0, 10.0):
        accepted = push("server", at, {"t": 20 * at, "still": 5}, "accepted")
        applied = push("worker", at, {"t": 10 * at}, "applied")
        rates.observe([accepted, applied], NOW + at)
    expected = [{"name": "t", "accepted": 20, "applied": 10, "rejected": 0}]
    for kind in ("table", "source"):
        assert rates.of(kind) == {"rows": expected, "others": None}


def test_all_but_the_largest_are_one_row_with_the_rest_of_the_processes() -> None:
    rates = LargestRates(Settings.parse({}))
    names = [f"t{number:02}" for number in range(LARGEST + 3)]
    for at in (0.0, 10.0):
        counts = {name: at * (number + 1) for number, name in enumerate(names)}
        rates.observe([push("server", at, {**counts, "other": 1_000 * at}, "accepted")], NOW + at)
    found = rates.of("table")
    assert found is not None
    assert [row["name"] for row in found["rows"]] == names[:2:-1]
    assert found["others"] == {"accepted": 1_000 + 1 + 2 + 3, "applied": 0, "rejected": 0}
