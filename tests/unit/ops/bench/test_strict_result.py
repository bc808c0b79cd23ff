from typing import Any

import pytest

from ops.bench import strict_result
from ops.bench.billed_load import billed, dollars
from ops.bench.capacity import AssumedLoad, estimate
from ops.bench.load_generator import LoadReport
from ops.bench.observation import Observation
from ops.bench.results import BenchResult
from ops.bench.strict_fleet import StrictCounts, StrictSetting
from ops.bench.strict_result import MANY_TABLES, TABLES, StrictFindings, StrictTurn
from ops.rig import RunFailed
from ops.rig.strict_bigquery import SettledBatch

RATE = 1_000.0
SECONDS = 10.0


def _seen(rate: float) -> Observation:
    count = round(rate * SECONDS)
    report = LoadReport(SECONDS, count, count, {}, 0.5, 0.01, 0.02)
    cpu = {"worker_00": 4.0, "worker_01": 5.0, "pubsub": 6.0}
    return Observation(report, tuple((float(n), 500.0) for n in range(4)), cpu)


def _billed(times: float) -> dict[str, Any]:
    """Return a report that bills `times` what is estimated for half the rate."""
    load = AssumedLoad(RATE / 2, 8, TABLES, freshness=10.0, table_partitions=30)
    head, tables, ledger = billed(load, estimate(load))
    kinds = {"UPDATE": head, "MERGE": tables, "INSERT": ledger}
    own = {kind: size * SECONDS * times for kind, size in kinds.items()}
    total = dollars(sum(own.values()) / 86_400)
    return {"seconds": SECONDS, "bytes_billed": own, "dollars": total, "refusals": {}}


def _turn(rate: float, *ages: float, times: float = 1.0) -> StrictTurn:
    batches = [
        SettledBatch(0.0, "worker_00", f"lane-{number:02}", [age] * 100)
        for number, age in enumerate(ages)
    ]
    return StrictTurn(_seen(rate), StrictCounts(_billed(times), batches))


def _found(
    *stuck: float, times: float = 1.0, refusals: dict[str, int] | None = None
) -> BenchResult:
    highest = {1: _turn(900, 5.0), MANY_TABLES: _turn(600, 5.0), TABLES: _turn(1_100, 5.0)}
    half = _turn(RATE / 2, 5.0, 10.0, times=times)
    stuck_turn = _turn(RATE / 2, *stuck)
    found = StrictFindings(highest, _seen(RATE), half, stuck_turn, "lane-00", refusals or {})
    return strict_result.result(found, StrictSetting())


def _figures(result: BenchResult) -> dict[str, float]:
    return {check.name: check.samples.median for check in result.checks}


def test_each_target_has_its_figure() -> None:
    figures = _figures(_found(50.0, 11.0, refusals={"dml_rate": 2, "ddl_rate": 1}))
    assert figures["strict_rate"] == RATE
    assert figures["strict_p99"] == 10.0
    assert figures["strict_many"] == pytest.approx(600 / 1_100)
    assert figures["strict_hot"] == 900
    assert figures["strict_refusals"] == 3


def test_the_stuck_lane_does_not_count_before_or_after() -> None:
    assert _figures(_found(50.0, 11.0))["strict_lanes"] == pytest.approx(1.1)
    with pytest.raises(RunFailed, match="nothing was committed"):
        _found(50.0)


@pytest.mark.parametrize("times", [1.5, 1 / 1.5])
def test_what_was_billed_is_compared_with_the_estimate_in_either_direction(times: float) -> None:
    assert _figures(_found(5.0, 5.0))["strict_cost"] == pytest.approx(1, rel=0.001)
    assert _figures(_found(5.0, 5.0, times=times))["strict_cost"] == pytest.approx(1.5, rel=0.001)


def test_the_processes_that_bound_the_rate_are_named() -> None:
    (bound,) = _found(5.0, 5.0).notes
    assert "took 1.50 of" in bound
    assert "worker 0.90" in bound
