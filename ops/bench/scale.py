"""How far more workers, and larger batches, go against a slow warehouse: `bench scale`."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ops.bench import capacity
from ops.bench.apply import check_log
from ops.bench.feed import feed
from ops.bench.figures import Samples, ratios
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.rig import RunFailed
from ops.rig.environment import Environment

_METHOD: Final = """\
Real workers pull from the embedded Pub/Sub and commit to a stand-in for BigQuery whose jobs take
2 s each whatever is in them, as BigQuery's small jobs do, and cost next to no processor time, so
that 16 workers fit on two cores. 64 tables have a backlog; a batch closes at 50 transactions, so
that what is measured is how the work spreads over workers and not how many transactions a core can
do. A worker's rate is what it committed after its first batch, over the time since; the rates of a
round's workers add up. Then one worker and one hot table, as batches grow."""


class Size(NamedTuple):
    """How much to measure."""

    workers: tuple[int, ...] = (1, 2, 4, 8, 16)
    rounds: int = 2
    seconds: float = 22.0
    job_seconds: float = 2.0
    batch: int = 50
    tables: int = 64
    hot: tuple[int, ...] = (1, 10, 100, 1_000, 5_000, 10_000)
    hot_batches: int = 4


QUICK: Final = Size((1, 2), 1, 3.0, 0.3, 10, 8, (10, 100), 2)

type Commit = tuple[float, str, int]


def rate(commits: Iterable[Commit]) -> float:
    """Return the transactions a second of (time, worker, transactions), each worker's added up.

    A worker's first commit only starts its clock: what it took has begun before anyone looked. So
    a worker with fewer than two commits counts for nothing.
    """
    by_worker: dict[str, list[tuple[float, int]]] = {}
    for at, worker, transactions in commits:
        by_worker.setdefault(worker, []).append((at, transactions))
    found = 0.0
    for own in by_worker.values():
        (first, _), *rest = sorted(own)
        if rest and rest[-1][0] > first:
            found += sum(count for _, count in rest) / (rest[-1][0] - first)
    return found


def run(size: Size) -> Result:
    """Measure every number of workers, then every batch size."""
    began = time.monotonic()
    rounds: dict[int, list[float]] = {count: [] for count in size.workers}
    with Environment() as environment:
        environment.pubsub()
        environment.fake_bigquery(size.job_seconds)
        for number in range(size.rounds):
            for count in size.workers:
                say(f"scale: {count} workers, round {number + 1} of {size.rounds}")
                rounds[count].append(_spread(environment, count, size))
        hot = {batch: _hot(environment, batch, size) for batch in size.hot}
    return _result(rounds, hot, size, time.monotonic() - began)


def _commits(environment: Environment, since: float) -> list[Commit]:
    address = environment.variables["BIGQUERY_EMULATOR_HOST"]
    with urllib.request.urlopen(f"http://{address}/settled", timeout=10) as answer:
        return [(at, worker, count) for at, worker, count in json.load(answer) if at > since]


def _work(
    environment: Environment, count: int, seconds: float, settings: Mapping[str, str]
) -> list[Commit]:
    """Let so many workers work for a while on what is there; return what they committed."""
    since = time.monotonic()
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(environment.worker(f"worker_{number:02}", settings=settings))
            for number in range(count)
        ]
        time.sleep(seconds)
        for worker in workers:
            worker.check()
            check_log(worker)
        left = environment.backlog()
        commits = _commits(environment, since)
    environment.purge()
    if not left:
        raise RunFailed(f"{count} workers ran out of work: the backlog was too small")
    return commits


def _spread(environment: Environment, count: int, size: Size) -> float:
    # Twice what so many workers can do, and something for every one to hold beside it.
    batches = count * (2 * size.seconds / size.job_seconds + 6)
    feed(environment, round(batches * size.batch), "--tables", str(size.tables), "--a-call", "20")
    return rate(_work(environment, count, size.seconds, {"BATCH_MAX_MESSAGES": str(size.batch)}))


def _hot(environment: Environment, batch: int, size: Size) -> float:
    say(f"scale: one hot table, batches of {batch:,}")
    # The worker's start, its first batch, and those that count.
    seconds = 2.5 + size.job_seconds * (size.hot_batches + 1) * 1.3
    feed(environment, batch * round(seconds / size.job_seconds + 4), "--tables", "1")
    settings = {"BATCH_MAX_MESSAGES": str(batch), "BATCH_MAX_BYTES": "8000000"}
    return rate(_work(environment, 1, seconds, settings))


def _result(
    rounds: dict[int, list[float]], hot: dict[int, float], size: Size, seconds: float
) -> Result:
    one = rounds[1]
    rows = []
    for count, rates in rounds.items():
        linear = ratios(rates, [count * each for each in one])
        rows.append((f"{count}", Samples(tuple(rates)).text(1), linear.text(2)))
    checks = []
    if 8 in rounds:  # noqa: PLR2004  # the target's
        checks.append(Check("scale_8", ratios(rounds[8], [8 * each for each in one])))
    best = capacity.best_batch()
    return Result(
        bench="scale",
        title="Scale: a warehouse at BigQuery's speed",
        method=_METHOD,
        checks=tuple(checks),
        grids=(
            Grid(
                f"{size.tables} tables, {size.job_seconds:g} s a job, batches of {size.batch}",
                ("workers", "transactions/s", "of linear"),
                tuple(rows),
            ),
            Grid(
                "One hot table, one worker",
                ("BATCH_MAX_MESSAGES", "transactions/s"),
                tuple((f"{batch:,}", f"{found:,.1f}") for batch, found in hot.items()),
            ),
        ),
        plots=(_workers_plot(rounds), _hot_plot(hot)),
        notes=(best.says,),
        seconds=seconds,
        data={
            "workers": {str(count): rates for count, rates in rounds.items()},
            "hot": {str(batch): found for batch, found in hot.items()},
        },
    )


def _workers_plot(rounds: dict[int, list[float]]) -> Plot:
    one = Samples(tuple(rounds[1])).median
    measured = tuple((float(n), Samples(tuple(rates)).median) for n, rates in rounds.items())
    linear = tuple((float(n), n * one) for n in rounds)
    series = {"measured": measured, "linear": linear}
    return Plot("scale_workers", "More workers", "workers", "transactions/s", series)


def _hot_plot(hot: dict[int, float]) -> Plot:
    series = {"": tuple((float(batch), found) for batch, found in hot.items())}
    return Plot(
        "scale_batch",
        "One hot table, one worker, 2 s a job",
        "transactions a batch at the most",
        "transactions/s",
        series,
        logarithmic=True,
    )
