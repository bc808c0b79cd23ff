"""What `gatekeeper bench strict` has found, as figures, tables and plots."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import psutil

from ops.bench.billed_load import BilledBytes, billed, dollars
from ops.bench.capacity import AssumedLoad, estimate
from ops.bench.observation import Observation, backlog_plot, cpu_table
from ops.bench.results import BenchResult, Plot, Points, ResultTable, TargetCheck
from ops.bench.samples import Samples
from ops.bench.strict_fleet import StrictCounts, StrictSetting
from ops.rig.load_client import percentile

TABLES: Final = 40
MANY_TABLES: Final = 300
_METHOD: Final = """\
One server and 8 workers, with the embedded Pub/Sub. The workers have the settings of the cloud,
FRESHNESS_SECONDS=10, and commit to a BigQuery without storage that keeps the documented
quotas, cancels transactions that conflict, takes 1 s a job and 0.7 s for each of its statements,
and bills by the documented rules. Each of its tables has 1 GB in 30 daily partitions. A transaction
deletes a row by its id and time and inserts one, in one table; the table is its ordering key, so
tables are spread over 32 lanes by the hashes of their names. For each number of tables the load is
as high as the answers allow, and pauses while the backlog is more than half of what the workers can
hold. Then, with 40 tables, a rate is *held* with a level backlog, and *half* of it is offered: end
to end is from the server's receipt to the commit. At last, at the same rate, one lane gets a
transaction that BigQuery never finishes. No process is pinned to a core; all share the machine."""
_KINDS: Final = {"head": "UPDATE", "tables": "MERGE", "ledger": "INSERT"}
"""The statement behind each part of the estimate."""
_STEPS: Final = 100
"""Points of a distribution."""


class StrictTurn(NamedTuple):
    """Some seconds of load: what was seen of the fleet, and what the strict BigQuery counted."""

    seen: Observation
    counts: StrictCounts


class StrictFindings(NamedTuple):
    highest: Mapping[int, StrictTurn]
    """By the number of tables."""
    held: Observation
    half: StrictTurn
    stuck: StrictTurn
    """At half the rate, while one lane has a transaction without an end."""
    stuck_lane: str
    refusals: Mapping[str, int]
    """By rule, before the stuck transaction."""


class _Bill(NamedTuple):
    """Dollars a day by part: what the strict BigQuery billed, and what `bench cost` estimates."""

    billed: Mapping[str, float]
    estimated: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The larger sum over the smaller."""
        low, high = sorted((sum(self.billed.values()), sum(self.estimated.values())))
        return high / low


def _load(setting: StrictSetting, rate: float, tables: int = TABLES) -> AssumedLoad:
    return AssumedLoad(
        rate=rate,
        workers=setting.workers,
        tables=tables,
        freshness=setting.freshness,
        job_seconds=setting.latency.job,
        statement_seconds=setting.latency.statement,
        table_bytes=setting.table_gb * 1e9,
        table_partitions=setting.partitions,
    )


def _bill(half: StrictTurn, setting: StrictSetting) -> _Bill:
    load = _load(setting, half.seen.report.rate)
    estimated = billed(load, estimate(load))
    report = half.counts.report
    by_kind = report["bytes_billed"]
    own = BilledBytes(*(by_kind.get(kind, 0) / report["seconds"] for kind in _KINDS.values()))
    return _Bill(*({n: dollars(b) for n, b in each._asdict().items()} for each in (own, estimated)))


def result(found: StrictFindings, setting: StrictSetting) -> BenchResult:
    highest = {tables: turn.seen.applied for tables, turn in found.highest.items()}
    ages = found.half.counts.ages()
    p99 = [
        percentile(turn.counts.ages(without=found.stuck_lane), 0.99)
        for turn in (found.half, found.stuck)
    ]
    bill = _bill(found.half, setting)
    figures = {
        "strict_rate": found.held.report.rate,
        "strict_p99": percentile(ages, 0.99),
        "strict_many": highest[MANY_TABLES] / highest[TABLES],
        "strict_hot": highest[1],
        "strict_lanes": p99[1] / p99[0],
        "strict_refusals": sum(found.refusals.values()),
        "strict_cost": bill.ratio,
    }
    return BenchResult(
        title="Strict: BigQuery's quotas, latency and prices",
        method=_METHOD,
        checks=tuple(TargetCheck(name, Samples.of([value])) for name, value in figures.items()),
        tables=(
            _rates(found, setting),
            _latencies(ages, p99),
            _bill_table(bill, found.half.seen.report.rate),
            cpu_table(
                **{f"{n} tables": [turn.seen] for n, turn in found.highest.items()},
                held=[found.held],
                half=[found.half.seen],
            ),
        ),
        plots=(backlog_plot("strict_backlog", found.held, found.half.seen), _ages_plot(found)),
        notes=tuple(_notes(found)),
        data=_data(found),
    )


def _rates(found: StrictFindings, setting: StrictSetting) -> ResultTable:
    columns = ("", "transactions/s", "lanes' limit", "cores", "batches/s", "$ a million")
    rows = [
        (
            f"{tables} tables, applied" if tables > 1 else "one hot table, applied",
            f"{turn.seen.applied:,.0f}",
            f"{estimate(_load(setting, 1e9, tables)).capacity:,.0f}",
            f"{turn.seen.cores:.2f}",
            f"{len(turn.counts.batches) / turn.counts.report['seconds']:.1f}",
            f"{turn.counts.dollars_a_million:.2f}",
        )
        for tables, turn in found.highest.items()
    ]
    held = found.held
    rows.append(
        (f"{TABLES} tables, held", f"{held.report.rate:,.0f}", "", f"{held.cores:.2f}", "", "")
    )
    return ResultTable("The highest rates", columns, tuple(rows))


def _latencies(ages: list[float], p99: list[float]) -> ResultTable:
    rows = (
        ("p50", f"{percentile(ages, 0.5):.1f}"),
        ("p99", f"{percentile(ages, 0.99):.1f}"),
        ("p99 of the lanes but one, before it is stuck", f"{p99[0]:.1f}"),
        ("p99 of the lanes but one, while it is stuck", f"{p99[1]:.1f}"),
    )
    return ResultTable("At half the rate", ("end to end", "seconds"), rows)


def _bill_table(bill: _Bill, rate: float) -> ResultTable:
    names = {"head": "heads and their guard", "tables": "tables", "ledger": "ledgers"}
    rows = [
        (text, f"{bill.billed[name]:,.2f}", f"{bill.estimated[name]:,.2f}")
        for name, text in names.items()
    ]
    sums = (f"{sum(each.values()):,.2f}" for each in bill)
    title = f"$ a day at {rate:,.0f} transactions/s"
    columns = ("", "billed", "estimated by bench cost")
    return ResultTable(title, columns, (*rows, ("sum", *sums)))


def _notes(found: StrictFindings) -> list[str]:
    turn = found.highest[TABLES]
    first, second, *_ = sorted(turn.seen.by_program.items(), key=lambda each: -each[1])
    seconds = turn.seen.report.seconds
    notes = [
        (
            f"At the highest rate with {TABLES} tables the processes took {turn.seen.cores:.2f} of"
            f" {psutil.cpu_count()} cores: {first[0]} {first[1] / seconds:.2f}, {second[0]}"
            f" {second[1] / seconds:.2f}. Below *lanes' limit* they are the bound: it is what"
            " `bench cost` estimates that the lanes can commit."
        )
    ]
    if found.refusals:
        counts = ", ".join(f"{rule} {count}" for rule, count in found.refusals.items())
        notes.append(f"Refusals: {counts}.")
    return notes


def _ages_plot(found: StrictFindings) -> Plot:
    series = {
        "all lanes": _distribution(found.half.counts.ages()),
        "all but a stuck one": _distribution(found.stuck.counts.ages(without=found.stuck_lane)),
    }
    title = "End to end at half the rate"
    return Plot("strict_end_to_end", title, "seconds", "% of transactions", series)


def _distribution(ages: list[float]) -> Points:
    return tuple((percentile(ages, n / _STEPS), n / _STEPS * 100) for n in range(1, _STEPS + 1))


def _data(found: StrictFindings) -> dict[str, object]:
    """Return what is kept: not each transaction's age."""

    def bare(turn: StrictTurn) -> dict[str, object]:
        return {"seen": turn.seen, "report": turn.counts.report}

    return {
        "highest": {tables: bare(turn) for tables, turn in found.highest.items()},
        "held": found.held,
        "half": bare(found.half),
        "stuck": bare(found.stuck),
        "refusals": found.refusals,
    }
