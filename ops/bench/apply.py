"""What applying a transaction costs a worker, stage by stage: the work of `bench apply`."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import schema
from ops.bench.batches import batch, deliveries, known_tables
from ops.bench.feed import feed
from ops.bench.figures import Samples
from ops.bench.machine import Cores
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.rig import RunFailed, Service, wait_until
from ops.rig.environment import Environment
from ops.runtime import clients
from workers import ledger, sql
from workers.entry import decode
from workers.fold import fold
from workers.plan import plan
from workers.warehouse import Warehouse

_METHOD: Final = """\
Every transaction deletes the rows of one id and inserts one anew (two activities, five columns),
over four tables. *Stages*: one thread calls what a worker calls, on batches of 1,000, and its
processor time is read before and after each; the BigQuery client is the real one, against a
stand-in that answers at once. *Whole worker*: a worker process works off a full backlog of the
embedded Pub/Sub, and its processor time is read from outside: what the stages do not explain is
pulling, leases, acknowledging and the event loop. *Our own* is the whole worker without the
client. Processor time hardly depends on what else the machine does; transactions/s do."""
SHAPES: Final = ((1, 1), (4, 1), (16, 1), (4, 2), (4, 3))
COUNTS: Final = (10, 100, 1_000, 10_000)
_TABLES: Final = 4
_HOUR: Final = 3600.0


class Size(NamedTuple):
    """How much to measure."""

    batch: int = 1_000
    rounds: int = 15
    backlog: int = 75_000
    backlogs: int = 5
    warehouse_backlog: int = 75_000


QUICK: Final = Size(200, 2, 30_000, 1, 0)


class Stages(NamedTuple):
    """Processor time of each stage, µs a transaction; the fold's also in pairs a second."""

    check: float
    decode: float
    plan: float
    fold: float
    sql: float
    client: float
    pairs: float


class Whole(NamedTuple):
    """A worker process: transactions a second, and processor time in µs a transaction."""

    rate: float
    cpu: float


def run(size: Size) -> Result:
    """Measure the stages, the statements and whole workers."""
    began = time.monotonic()
    cores = Cores.split()
    with Environment() as environment:
        environment.pubsub(cores.others)
        environment.fake_bigquery(0.0, cores.others)
        stages, wholes = [], []
        for number in range(size.backlogs):
            say(f"apply: a worker and a full backlog, round {number + 1} of {size.backlogs}")
            wholes.append(_whole(environment, size.backlog, cores.measured))
        for number in range(size.rounds):
            say(f"apply: stages, round {number + 1} of {size.rounds}")
            stages.append(_stages(environment, size.batch))
    real = _with_warehouse(size.warehouse_backlog, cores) if size.warehouse_backlog else None
    return _result(stages, wholes, real, size, time.monotonic() - began)


def _microseconds[T](work: Callable[[], T], count: int) -> tuple[T, float]:
    """Return what `work` returns and its processor time, µs for each of `count`."""
    before = time.process_time()
    found = work()
    return found, (time.process_time() - before) / count * 1e6


def _stages(environment: Environment, count: int) -> Stages:
    given = deliveries(count, _TABLES)
    _, check = _microseconds(lambda: [schema.check_body(each.data) for each in given], count)
    entries, decoded = _microseconds(lambda: [decode(each) for each in given], count)
    planned, planning = _microseconds(lambda: plan(entries, known_tables(_TABLES)), count)
    activities = [
        activity
        for entry in planned.accepted
        if entry.transaction
        for activity in entry.transaction.activities
    ]
    changes, folding = _microseconds(lambda: fold(activities), count)

    def written() -> sql.Script:
        rows = [ledger.row(entry, None, "bench") for entry in planned.accepted]
        ids = [entry.message.id for entry in planned.accepted]
        return sql.script(environment.settings.dataset_path, changes, sql.Settlement(ids, [], rows))

    script, writing = _microseconds(written, count)
    client = clients.warehouse(environment.settings)
    warehouse = Warehouse(client, environment.settings)
    committing = warehouse.commit(script, lambda: _HOUR)
    _, sending = _microseconds(lambda: asyncio.run(committing), count)
    client.close()  # type: ignore[no-untyped-call]
    if len(planned.accepted) != count:
        raise RunFailed(f"{len(planned.rejected)} transactions of the bench were rejected")
    return Stages(
        check, max(decoded - check, 0), planning, folding, writing, sending, 1e6 / folding
    )


def _whole(environment: Environment, count: int, cores: Collection[int]) -> Whole:
    """Work a backlog off; measured from a tenth of it to nine tenths."""
    feed(environment, count, "--tables", str(_TABLES))
    with environment.worker("worker", cores) as worker:

        def left(share: float) -> float:
            limit = count * share

            def reached() -> bool:
                worker.check()
                return environment.backlog() <= limit

            wait_until(reached, 60 + count / 50, f"{share:.0%} of the backlog is left")
            return time.perf_counter()

        began, before, cpu = left(0.9), environment.backlog(), worker.cpu_seconds()
        ended, after = left(0.1), environment.backlog()
        cpu = worker.cpu_seconds() - cpu
        left(0)
        check_log(worker)
    done = before - after
    if done <= 0:
        raise RunFailed(f"a backlog of {count:,} is gone in one batch: there is nothing to measure")
    return Whole(done / (ended - began), cpu / done * 1e6)


def check_log(worker: Service) -> None:
    """Raise RunFailed for a worker that said of anything but applied transactions."""
    for line in worker.output.splitlines():
        if '"level": "INFO"' not in line and "metrics_push_failed" not in line:
            raise RunFailed(f"the worker was in trouble: {line}")


def _with_warehouse(count: int, cores: Cores) -> Whole:
    """Do the same with the embedded BigQuery, which shares the machine."""
    say("apply: a worker, a full backlog and the embedded warehouse")
    with Environment() as environment:
        environment.pubsub(cores.others)
        environment.bigquery(cores.others)
        return _whole(environment, count, cores.measured)


def statements(transactions: int, table_count: int, column_sets: int) -> int:
    """Return how many data statements a batch becomes."""
    entries = batch(transactions, table_count, column_sets)
    changes = fold(each for entry in entries for each in entry.activities)
    settlement = sql.Settlement([], [], [])
    return sql.script("p.d", changes, settlement).statements


def _result(
    stages: list[Stages], wholes: list[Whole], real: Whole | None, size: Size, seconds: float
) -> Result:
    parts = {
        name: Samples(tuple(getattr(each, name) for each in stages)) for name in Stages._fields
    }
    client = parts["client"].median
    cpu = Samples(tuple(each.cpu for each in wholes))
    own = Samples(tuple(each.cpu - client for each in wholes))
    known = sum(parts[name].median for name in ("check", "decode", "plan", "fold", "sql"))
    names = {
        "decode": "decode (attributes, digest, times)",
        "check": "check against the rule",
        "plan": "plan against the catalog",
        "fold": "fold",
        "sql": "SQL and its parameters, ledger rows",
    }
    rows = [(text, parts[name].text(1)) for name, text in names.items()]
    rows += [
        ("pull, leases, acks, event loop (the rest)", f"{own.median - known:,.1f}"),
        ("our own, altogether", own.text(1)),
        ("BigQuery client", parts["client"].text(1)),
        ("the worker process (CPU s a 1,000 transactions: / 1,000)", cpu.text(1)),
    ]
    rates = [("a warehouse that answers at once", Samples(tuple(w.rate for w in wholes)).text())]
    if real is not None:
        rates.append(("the embedded warehouse, on the same cores", f"{real.rate:,.0f}"))
    growth = max(statements(1_000, *shape) / statements(100, *shape) for shape in SHAPES)
    checks = (
        Check("apply_cpu", own),
        Check("apply_statements", Samples((growth,))),
        Check("apply_fold", parts["pairs"]),
    )
    return Result(
        bench="apply",
        title="Apply: one worker and a full backlog",
        method=_METHOD,
        checks=checks,
        grids=(
            Grid("Processor time", ("stage", "µs a transaction"), tuple(rows)),
            Grid("A full backlog", ("against", "transactions/s"), tuple(rates)),
            _statement_grid(),
        ),
        plots=(_plot(names, parts, own.median - known),),
        seconds=seconds,
        data={
            "stages": [each._asdict() for each in stages],
            "workers": [each._asdict() for each in wholes],
            "warehouse": None if real is None else real._asdict(),
            "batch": size.batch,
        },
    )


def _statement_grid() -> Grid:
    rows = tuple(
        (
            f"{table_count} tables, {column_sets} sets of columns",
            *(f"{statements(count, table_count, column_sets)}" for count in COUNTS),
        )
        for table_count, column_sets in SHAPES
    )
    columns = ("statements a batch", *(f"{count:,} transactions" for count in COUNTS))
    return Grid("Statements", columns, rows)


def _plot(names: dict[str, str], parts: dict[str, Samples], rest: float) -> Plot:
    values = {name: parts[name].median for name in names} | {
        "rest": rest,
        "client": parts["client"].median,
    }
    points = tuple((float(place), value) for place, value in enumerate(values.values()))
    ticks = tuple(values)
    return Plot("apply_cpu", "Processor time of a transaction", "", "µs", {"": points}, ticks)
