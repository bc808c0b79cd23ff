"""Whether a server and a worker keep their size over a million transactions: `bench memory`."""

import time
from typing import Final, NamedTuple

from ops.bench.apply import check_log
from ops.bench.feed import feed
from ops.bench.figures import Samples
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.bench.sender import Sender
from ops.rig import RunFailed, Service, wait_until
from ops.rig.environment import Environment
from ops.rig.transaction_mix import TABLES

_METHOD: Final = """\
The locustfile's mix goes through one server, the embedded Pub/Sub, one worker and a stand-in for
BigQuery that answers at once, no faster than the worker works it off. Memory is the proportional
set size (PSS), sampled twice a second; early is the median of the nine samples around a tenth of
the run, late that of its last nine. Then a worker that has 10,000 transactions
outstanding, before a warehouse that does not answer for a minute."""
_TAKEN: Final = 9
_MB: Final = 1e6


class Size(NamedTuple):
    """How much goes through."""

    transactions: int = 1_000_000
    high: int = 15_000
    """The backlog past which the server gets no more."""
    outstanding: int = 10_000
    sample_seconds: float = 0.5


QUICK: Final = Size(3_000, 2_000, 1_000, 0.05)


class Point(NamedTuple):
    """Memory in bytes after so many transactions."""

    transactions: int
    server: int
    worker: int


def run(size: Size) -> Result:
    """Send everything, then fill a worker."""
    began = time.monotonic()
    points = _through(size)
    full = _outstanding(size)
    return _result(points, full, size, time.monotonic() - began)


def _through(size: Size) -> list[Point]:
    points = []
    with Environment() as environment:
        environment.pubsub()
        environment.fake_bigquery(0.0)
        server = environment.server("server")
        worker = environment.start(environment.worker("worker"))
        options = ("--count", str(size.transactions))
        with Sender(environment.folder, server.address, 64, *options) as sender:
            sending, told = False, 0.0
            while True:
                time.sleep(size.sample_seconds)
                environment.check()
                backlog = environment.backlog()
                report = sender.report()
                done = report.answered - backlog
                points.append(Point(done, server.process.memory_bytes(), worker.memory_bytes()))
                if report.answered >= size.transactions and not backlog:
                    break
                if sending != (backlog < size.high):
                    sending = not sending
                    sender.rate(None if sending else 0)
                if done - told >= size.transactions / 20:
                    told = done
                    say(f"memory: {done:,} of {size.transactions:,} transactions")
        check_log(worker)
    return points


def _outstanding(size: Size) -> Samples:
    """Return the memory of a worker that holds so many transactions, in MB."""
    count = size.outstanding
    say(f"memory: a worker with {count:,} transactions outstanding")
    with Environment(METRICS_PUSH_SECONDS="0.2") as environment:
        environment.pubsub()
        environment.fake_bigquery(60.0)
        environment.pushgateway()
        feed(environment, 2 * count, "--tables", str(len(TABLES)))
        # A worker may hold three batches.
        batch = -(-count // 3)
        with environment.worker("worker", settings={"BATCH_MAX_MESSAGES": str(batch)}) as worker:
            wait_until(
                lambda: _held(environment, worker) >= count, 60, f"{count:,} are outstanding"
            )
            found = []
            for _ in range(_TAKEN):
                time.sleep(size.sample_seconds)
                found.append(worker.memory_bytes() / _MB)
            worker.check()
            worker.kill()  # it would wait for its job
    return Samples(tuple(found))


def _held(environment: Environment, worker: Service) -> float:
    worker.check()
    return environment.pushed_total("gatekeeper_leases")


def early_and_late(points: list[Point], transactions: int) -> tuple[list[Point], list[Point]]:
    """Pick the samples around a tenth of the run, and the last ones."""
    if len(points) < 2:  # noqa: PLR2004  # one of each
        raise RunFailed("the run was too short to take samples early and late")
    tenth = transactions / 10
    early = sorted(points, key=lambda point: abs(point.transactions - tenth))
    return early[:_TAKEN], points[-_TAKEN:]


def _result(points: list[Point], full: Samples, size: Size, seconds: float) -> Result:
    early, late = early_and_late(points, size.transactions)
    rows, checks = [], []
    for who in ("server", "worker"):
        before = Samples(tuple(getattr(point, who) / _MB for point in early))
        after = Samples(tuple(getattr(point, who) / _MB for point in late))
        ratio = after.median / before.median
        checks.append(Check(f"memory_{who}", Samples((ratio,))))
        rows.append((who, before.text(1), after.text(1), f"{ratio:.3f}"))
    checks.append(Check("memory_outstanding", full))
    columns = (
        "process",
        f"MB after {size.transactions // 10:,}",
        f"MB after {size.transactions:,}",
        "late / early",
    )
    return Result(
        bench="memory",
        title="Memory",
        method=_METHOD,
        checks=tuple(checks),
        grids=(
            Grid("Proportional set size", columns, tuple(rows)),
            Grid(
                f"A worker with {size.outstanding:,} transactions outstanding",
                ("", "MB"),
                (("worker", full.text(1)),),
            ),
        ),
        plots=(
            Plot(
                "memory",
                "Memory over a run",
                "transactions",
                "MB",
                {
                    who: tuple((float(p.transactions), getattr(p, who) / _MB) for p in points)
                    for who in ("server", "worker")
                },
            ),
        ),
        seconds=seconds,
        data={"points": [point._asdict() for point in points], "outstanding": list(full.values)},
    )
