"""Whether a server and a worker grow over a million transactions: `gatekeeper bench memory`."""

import time
from typing import Final, NamedTuple

from ops.bench.apply_stages import check_worker_log
from ops.bench.bench_progress import show_progress
from ops.bench.load_generator import LoadGenerator
from ops.bench.pubsub_load import publish
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.samples import Samples, by_field
from ops.rig import RunFailed, Service, wait_until
from ops.rig.environment import Environment
from ops.rig.transaction_mix import TABLES

_METHOD: Final = """\
The locustfile's mix goes through one server, the embedded Pub/Sub, one worker and a fake BigQuery
that answers immediately, no faster than the worker applies it. Memory is the proportional set size
(PSS), sampled twice a second. Early is the median of the nine samples around a tenth of the run,
late that of the last nine. Then a worker has 10,000 transactions outstanding while the warehouse
does not answer for a minute."""
_MEDIAN_OF: Final = 9


class MemorySize(NamedTuple):
    transactions: int = 1_000_000
    max_backlog: int = 15_000
    """The load pauses while the backlog is larger."""
    outstanding: int = 10_000
    sample_seconds: float = 0.5


_QUICK: Final = MemorySize(3_000, 2_000, 1_000, 0.05)


class MemorySample(NamedTuple):
    """Memory in MB after a number of transactions."""

    transactions: int
    server: float
    worker: float


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else MemorySize()
    return _result(_over_run(size), _outstanding(size), size)


def _over_run(size: MemorySize) -> list[MemorySample]:
    samples: list[MemorySample] = []
    options = ("--count", str(size.transactions))
    with Environment() as services:
        services.pubsub()
        services.fake_bigquery(0.0)
        server = services.server("server")
        worker = services.start(services.worker("worker"))
        with LoadGenerator(services.folder, server.address, 64, *options) as load:
            load.warm_up(0)
            shown = 0
            while True:
                time.sleep(size.sample_seconds)
                services.check()
                backlog, answered = services.backlog(), load.report().answered
                done = answered - backlog
                memory = (_megabytes(server.process), _megabytes(worker))
                samples.append(MemorySample(done, *memory))
                if answered >= size.transactions and not backlog:
                    break
                load.pause(paused=backlog >= size.max_backlog)
                if done - shown >= size.transactions / 20:
                    shown = done
                    show_progress(f"memory: {done:,} of {size.transactions:,} transactions")
        check_worker_log(worker)
    return samples


def _outstanding(size: MemorySize) -> Samples:
    """Return the memory of a worker with outstanding transactions, in MB."""
    count = size.outstanding
    show_progress(f"memory: a worker with {count:,} transactions outstanding")
    with Environment(METRICS_PUSH_SECONDS="0.2") as services:
        services.pubsub()
        services.fake_bigquery(60.0)
        services.pushgateway()
        publish(services.settings, 2 * count, len(TABLES))
        batch = -(-count // 3)  # a worker holds up to three batches
        with services.worker("worker", settings={"BATCH_MAX_MESSAGES": str(batch)}) as worker:
            wait_until(lambda: _leases(services, worker) >= count, 60, f"{count:,} are outstanding")
            found = []
            for _ in range(_MEDIAN_OF):
                time.sleep(size.sample_seconds)
                found.append(_megabytes(worker))
            worker.check()
            worker.kill()  # it would wait for its job
    return Samples.of(found)


def _megabytes(process: Service) -> float:
    return process.memory_bytes() / 1e6


def _leases(services: Environment, worker: Service) -> float:
    worker.check()
    return services.pushed_total("gatekeeper_leases")


def early_and_late(
    samples: list[MemorySample], transactions: int
) -> tuple[list[MemorySample], list[MemorySample]]:
    """Return the samples around a tenth of the run, and the last ones."""
    if len(samples) < 2:  # noqa: PLR2004  # one of each
        raise RunFailed("the run was too short to take samples early and late")
    early = sorted(samples, key=lambda sample: abs(sample.transactions - transactions / 10))
    return early[:_MEDIAN_OF], samples[-_MEDIAN_OF:]


def _result(samples: list[MemorySample], full: Samples, size: MemorySize) -> BenchResult:
    early, late = (by_field(part) for part in early_and_late(samples, size.transactions))
    rows, checks, series = [], [], {}
    for process in ("server", "worker"):
        ratio = late[process].median / early[process].median
        checks.append(TargetCheck(f"memory_{process}", Samples.of([ratio])))
        rows.append((process, early[process].text(1), late[process].text(1), f"{ratio:.3f}"))
        series[process] = tuple((each.transactions, getattr(each, process)) for each in samples)
    columns = [f"MB after {count:,}" for count in (size.transactions // 10, size.transactions)]
    outstanding = f"A worker with {size.outstanding:,} transactions outstanding"
    pss = ResultTable("Proportional set size", ("process", *columns, "late / early"), tuple(rows))
    return BenchResult(
        title="Memory",
        method=_METHOD,
        checks=(*checks, TargetCheck("memory_outstanding", full)),
        tables=(pss, ResultTable(outstanding, ("", "MB"), (("worker", full.text(1)),))),
        plots=(Plot("memory", "Memory over a run", "transactions", "MB", series),),
        data={"points": samples, "outstanding": full.values},
    )
