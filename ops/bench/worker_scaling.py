"""How the rate grows with workers and batches on a slow warehouse: `gatekeeper bench scale`."""

import contextlib
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from ops.bench.apply_stages import check_worker_log
from ops.bench.bench_progress import rounds, show_progress
from ops.bench.capacity import largest_batch
from ops.bench.pubsub_load import publish
from ops.bench.results import BenchResult, Plot, Points, ResultTable, TargetCheck
from ops.bench.samples import Samples, ratios
from ops.rig import RunFailed, Service, wait_until
from ops.rig.environment import Environment
from ops.rig.strict_bigquery import SettledBatch, read_settled, reset
from ops.rig.strict_bigquery.documented_rules import Latency

_METHOD: Final = """\
Real workers pull from the embedded Pub/Sub and commit to a BigQuery without storage that keeps the
documented quotas and takes 1 s a job and 0.7 s for each of its statements: 3.1 s for one table. It
takes almost no processor time, so 16 workers fit on two cores. Two tables for each worker, each in
its own lane, have a backlog; a worker runs one job at a time, and a batch closes at 50
transactions. So the figure shows how the lanes spread over workers and not how fast a core is. A
worker's rate is what it committed after its first batch, over the time since then; the rates of a
round's workers are added up. Then one worker has one hot table, which is in one lane, with larger
and larger batches."""
_START_SECONDS: Final = 60.0
"""How long the workers may take to commit their first batches."""


class ScalingSize(NamedTuple):
    workers: tuple[int, ...] = (1, 2, 4, 8, 16)
    rounds: int = 1
    seconds: float = 22.0
    latency: Latency = Latency()
    batch: int = 50
    tables: int = 2
    """For each worker, each in its own lane: a worker holds three batches at most, so with more
    lanes it would have none of them full."""
    hot: tuple[int, ...] = (10, 100, 1_000, 10_000)
    """Batch sizes on the hot table."""
    hot_batches: int = 4

    @property
    def job_seconds(self) -> float:
        """Of a batch of one table: the head's UPDATE, the MERGE, the ledger's INSERT."""
        return self.latency.job + 3 * self.latency.statement


_QUICK: Final = ScalingSize((1, 2), 1, 3.0, Latency(0.2, 0.1), 10, 2, (10, 100), 2)


def commit_rate(batches: Iterable[SettledBatch]) -> float:
    """Return transactions a second, the workers' rates added up.

    A worker's first commit only starts its clock, since its batch began before the measurement.
    So a worker with fewer than two commits adds nothing.
    """
    by_worker: dict[str, list[tuple[float, int]]] = {}
    for each in batches:
        by_worker.setdefault(each.worker, []).append((each.at, len(each.ages)))
    found = 0.0
    for own in by_worker.values():
        (first, _), *rest = sorted(own)
        if rest and rest[-1][0] > first:
            found += sum(count for _, count in rest) / (rest[-1][0] - first)
    return found


def run(*, quick: bool) -> BenchResult:
    """Measure every number of workers, then every batch size."""
    size = _QUICK if quick else ScalingSize()
    rates: dict[int, list[float]] = {count: [] for count in size.workers}
    with Environment() as services:
        services.pubsub()
        services.strict_bigquery(size.latency)
        for _ in rounds(size.rounds, "scale: more workers"):
            for count in size.workers:
                rates[count].append(_spread(services, count, size))
        hot = {batch: _hot(services, batch, size) for batch in size.hot}
    return _result(rates, hot, size)


def _spread(services: Environment, count: int, size: ScalingSize) -> float:
    # Twice what the workers can apply, plus the batches that each of them holds.
    batches = count * (2 * size.seconds / size.job_seconds + 6)
    publish(services.settings, round(batches * size.batch), size.tables * count, a_call=size.batch)
    settings = {"BATCH_MAX_MESSAGES": str(size.batch), "WAREHOUSE_JOBS": "1"}
    return commit_rate(_work(services, count, size.seconds, settings))


def _hot(services: Environment, batch: int, size: ScalingSize) -> float:
    show_progress(f"scale: one hot table, batches of {batch:,}")
    # The worker's start, its first batch, and those that count.
    seconds = 2.5 + size.job_seconds * (size.hot_batches + 1) * 1.3
    publish(services.settings, batch * round(seconds / size.job_seconds + 4), tables=1)
    settings = {"BATCH_MAX_MESSAGES": str(batch), "BATCH_MAX_BYTES": "8000000"}
    return commit_rate(_work(services, 1, seconds, settings))


def _work(
    services: Environment, count: int, seconds: float, settings: dict[str, str]
) -> list[SettledBatch]:
    """Run workers on the backlog for some seconds and return what they committed."""
    reset(services.variables["BIGQUERY_EMULATOR_HOST"])
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(services.worker(f"worker_{number:02}", settings=settings))
            for number in range(count)
        ]
        _wait_for_commits(services, workers)
        time.sleep(seconds)
        for worker in workers:
            worker.check()
            check_worker_log(worker)
        left = services.backlog()
        batches = _settled(services)
    services.purge()
    if not left:
        raise RunFailed(f"{count} workers ran out of work: the backlog was too small")
    return batches


def _wait_for_commits(services: Environment, workers: list[Service]) -> None:
    """Wait until every worker has committed, so that a slow start does not shorten the run."""

    def all_committed() -> bool:
        for worker in workers:
            worker.check()
        return len({each.worker for each in _settled(services)}) == len(workers)

    wait_until(all_committed, _START_SECONDS, "every worker has committed")


def _settled(services: Environment) -> list[SettledBatch]:
    return read_settled(services.variables["BIGQUERY_EMULATOR_HOST"])


def _linear(rates: dict[int, list[float]], count: int) -> Samples:
    return ratios(Samples.of(rates[count]), Samples.of(count * each for each in rates[1]))


def _result(rates: dict[int, list[float]], hot: dict[int, float], size: ScalingSize) -> BenchResult:
    rows = tuple(
        (f"{count}", Samples.of(own).text(1), _linear(rates, count).text(2))
        for count, own in rates.items()
    )
    seconds = f"{size.job_seconds:.1f} s a job"
    title = f"{size.tables} tables a worker, {seconds}, batches of {size.batch}"
    hot_rows = tuple((f"{batch:,}", f"{found:,.1f}") for batch, found in hot.items())
    hot_columns = ("BATCH_MAX_MESSAGES", "transactions/s")
    return BenchResult(
        title="Scale: a warehouse as slow as BigQuery",
        method=_METHOD,
        checks=(TargetCheck("scale_8", _linear(rates, 8)),) if 8 in rates else (),  # noqa: PLR2004
        tables=(
            ResultTable(title, ("workers", "transactions/s", "of linear"), rows),
            ResultTable("One hot table, one worker", hot_columns, hot_rows),
        ),
        plots=_plots(rates, tuple((float(batch), found) for batch, found in hot.items())),
        notes=(largest_batch().advice,),
        data={"workers": rates, "hot": hot},
    )


def _plots(rates: dict[int, list[float]], hot: Points) -> tuple[Plot, ...]:
    measured = tuple((float(n), Samples.of(own).median) for n, own in rates.items())
    series = {"measured": measured, "linear": tuple((n, n * measured[0][1]) for n, _ in measured)}
    y, title = "transactions/s", "One hot table, one worker"
    return (
        Plot("scale_workers", "More workers", "workers", y, series),
        Plot("scale_batch", title, "BATCH_MAX_MESSAGES", y, {"": hot}, logarithmic=True),
    )
