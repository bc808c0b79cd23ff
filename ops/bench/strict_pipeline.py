"""The fleet on a BigQuery with documented quotas, latency and prices: `gatekeeper bench strict`."""

import time
from typing import Final, NamedTuple

from ops.bench import strict_result
from ops.bench.bench_progress import show_progress
from ops.bench.load_generator import LoadGenerator
from ops.bench.observation import HoldTimes, hold, observe
from ops.bench.results import BenchResult
from ops.bench.strict_fleet import STUCK_TABLE, StrictFleet, StrictSetting, table_name
from ops.bench.strict_result import MANY_TABLES, TABLES, StrictFindings, StrictTurn
from ops.rig.strict_bigquery.documented_rules import Latency
from schema import lane_name, lane_of


class StrictSize(NamedTuple):
    setting: StrictSetting = StrictSetting()
    connections: int = 128
    hold: HoldTimes = HoldTimes(25.0, 45.0)
    max_backlog: int = 50_000
    """The load pauses while the backlog is larger: less than half of what the workers can hold."""


_QUICK: Final = StrictSize(
    StrictSetting(2, 1.0, Latency(0.2, 0.05)), 8, HoldTimes(3.0, 4.0, 1.0), 2_000
)


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else StrictSize()
    with StrictFleet(size.setting) as fleet:
        highest = {count: _highest(fleet, size, count) for count in (1, MANY_TABLES, TABLES)}
        held = hold(fleet, lambda: _load(fleet, size), highest[TABLES].seen.applied, size.hold)
        half = _at(fleet, size, held.report.rate / 2, "half of it")
        fleet.drain()
        fleet.count_from_zero()
        refusals = dict(fleet.refusals)
        _stick(fleet)
        stuck = _at(fleet, size, half.seen.report.rate, "with a stuck lane")
        fleet.kill_workers()
    found = StrictFindings(highest, held, half, stuck, lane_name(lane_of(STUCK_TABLE)), refusals)
    return strict_result.result(found, size.setting)


def _load(fleet: StrictFleet, size: StrictSize, tables: int = TABLES) -> LoadGenerator:
    names = ",".join(table_name(number) for number in range(tables))
    options = ("--kind", "rewritten", "--tables", names)
    return LoadGenerator(fleet.folder, fleet.address, size.connections, *options)


def _highest(fleet: StrictFleet, size: StrictSize, tables: int) -> StrictTurn:
    """Measure the highest rate that keeps the backlog small."""
    show_progress(f"strict: {tables} tables")
    with _load(fleet, size, tables) as load:
        load.warm_up(0)
        observe(fleet, load, size.hold.settle, size.max_backlog)
        fleet.count_from_zero()
        found = StrictTurn(observe(fleet, load, size.hold.watch, size.max_backlog), fleet.counted())
    fleet.drain()
    show_progress(f"strict: {found.seen.applied:,.0f} transactions/s")
    return found


def _at(fleet: StrictFleet, size: StrictSize, rate: float, what: str) -> StrictTurn:
    """Offer a rate; return what was seen once the lanes have settled in it."""
    show_progress(f"strict: {what}, {rate:,.0f} transactions/s")
    with _load(fleet, size) as load:
        load.warm_up(0)
        load.rate(rate)
        time.sleep(size.hold.settle)
        fleet.count_from_zero()
        return StrictTurn(observe(fleet, load, size.hold.watch), fleet.counted())


def _stick(fleet: StrictFleet) -> None:
    """Send a transaction that BigQuery never finishes."""
    options = ("--kind", "inserted", "--tables", STUCK_TABLE, "--count", "1")
    with LoadGenerator(fleet.folder, fleet.address, 1, *options) as load:
        load.warm_up(0)
