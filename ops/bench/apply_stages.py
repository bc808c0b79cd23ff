"""What a transaction costs a worker, stage by stage: `gatekeeper bench apply`."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

import schema
from ops.bench.bench_progress import rounds, show_progress
from ops.bench.contract_load import (
    LoadCost,
    SetSize,
    check_all,
    measure_load,
    sample_contracts,
)
from ops.bench.machine import Cores
from ops.bench.pubsub_load import publish
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.sample_batches import (
    SINCE,
    activities_of,
    commit_script,
    sample_catalog,
    sample_deliveries,
    sample_keyed,
    transactions,
)
from ops.bench.samples import Samples, by_field
from ops.rig import RunFailed, Service, wait_until
from ops.rig.environment import Environment
from ops.runtime import clients
from workers import sql
from workers.decode import decode
from workers.fold import fold
from workers.plan import plan
from workers.warehouse import Warehouse

_METHOD: Final = """\
Every transaction deletes the rows of one id and inserts one row (two activities, five columns),
over four tables. The keyed fold has upserts, updates and deletes by id on one table. The contract
check is the server's: each table has a contract in mode `freeze` with five columns, rules on two. A
set of 2,000 contracts of 50 columns, compiled already, is loaded by another process, which then
uses each contract once. *Stages*: one
thread calls the worker's functions on batches of 1,000 and reads its processor time before and
after each; the BigQuery client is the real one, against a fake BigQuery that answers immediately.
*Whole worker*: a worker process applies a full backlog of the embedded Pub/Sub in batches of the
same size, and its processor time is read from outside. The difference is pulling, leases, acks and
the event loop. *Our own* is the whole worker without the BigQuery client. Other load on the machine
changes the processor time little, but it changes transactions/s."""
SHAPES: Final = ((1, 1), (4, 1), (16, 1), (4, 2), (4, 3))
"""(tables, column sets) of the batches whose statements are counted."""
_COUNTS: Final = (10, 100, 1_000, 10_000)
_TABLES: Final = 4
_NO_DEADLINE_SECONDS: Final = 3600.0
_NAMES: Final = {
    "decode": "decode (attributes, digest, times)",
    "check": "check against the rule",
    "plan": "plan against the catalog",
    "fold": "fold",
    "sql": "SQL and its parameters, ledger rows",
}


class ApplySize(NamedTuple):
    batch: int = 1_000
    rounds: int = 15
    backlog: int = 75_000
    backlogs: int = 5
    warehouse_backlog: int = 75_000
    contracts: SetSize = SetSize()
    loads: int = 3


_QUICK: Final = ApplySize(200, 2, 30_000, 1, 0, SetSize(50, 10), 1)


class StageTimes(NamedTuple):
    """Processor time of each stage, in µs a transaction; `keyed` in µs an activity."""

    check: float
    decode: float
    plan: float
    fold: float
    keyed: float
    contracts: float
    sql: float
    client: float


class WorkerRun(NamedTuple):
    """A worker process: transactions a second, and processor time in µs a transaction."""

    rate: float
    cpu: float


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else ApplySize()
    cores = Cores.split()
    with Environment() as services:
        services.pubsub(cores.others)
        services.fake_bigquery(0.0, cores.others)
        workers = [
            _run_worker(services, size.backlog, size.batch, cores.measured)
            for _ in rounds(size.backlogs, "apply: a worker and a full backlog")
        ]
        stages = [_time_stages(services, size.batch) for _ in rounds(size.rounds, "apply: stages")]
    loads = [_load(size.contracts) for _ in rounds(size.loads, "apply: contracts")]
    embedded = _with_bigquery(size, cores) if size.warehouse_backlog else None
    return _result(stages, workers, loads, embedded)


def _load(size: SetSize) -> LoadCost:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        return measure_load(Path(folder), size)


def _with_bigquery(size: ApplySize, cores: Cores) -> WorkerRun:
    show_progress("apply: a worker, a full backlog and the embedded BigQuery")
    with Environment() as services:
        services.pubsub(cores.others)
        services.bigquery(cores.others)
        return _run_worker(services, size.warehouse_backlog, size.batch, cores.measured)


def _timed[T](work: Callable[[], T], count: int) -> tuple[T, float]:
    """Return the result of `work` and its processor time in µs for each of `count`."""
    before = time.process_time()
    found = work()
    return found, (time.process_time() - before) / count * 1e6


def _time_stages(services: Environment, count: int) -> StageTimes:
    given = sample_deliveries(count, _TABLES)
    catalog = sample_catalog(_TABLES)
    dataset = services.settings.dataset_path
    _, check = _timed(lambda: [schema.check_body(each.data) for each in given], count)
    entries, decoded = _timed(lambda: [decode(each) for each in given], count)
    planned, planning = _timed(lambda: plan(entries, catalog), count)
    if len(planned.accepted) != count:
        raise RunFailed(f"{len(planned.rejected)} transactions of the benchmark were rejected")
    checked = [each.transaction for each in planned.accepted if each.transaction]
    contracts = sample_contracts(_TABLES)
    check_all(contracts, checked[:_TABLES])  # the checks are made at their first use
    _, contract_check = _timed(lambda: check_all(contracts, checked), count)
    activities = activities_of(planned.accepted)
    changes, folding = _timed(lambda: fold(activities), count)
    keyed_activities = sample_keyed(2 * count)
    _, keyed = _timed(lambda: fold(keyed_activities), 2 * count)
    client = clients.warehouse(services.settings)
    warehouse = Warehouse(client, dataset)
    (head,) = asyncio.run(warehouse.read_lane(0, [], SINCE, lambda: _NO_DEADLINE_SECONDS))
    script, writing = _timed(
        lambda: commit_script(dataset, changes, planned.accepted, head["epoch"]), count
    )
    committing = warehouse.commit(script, lambda: _NO_DEADLINE_SECONDS)
    _, sending = _timed(lambda: asyncio.run(committing), count)
    client.close()
    return StageTimes(
        check=check,
        decode=max(decoded - check, 0),
        plan=planning,
        fold=folding,
        keyed=keyed,
        contracts=contract_check,
        sql=writing,
        client=sending,
    )


def _run_worker(services: Environment, count: int, batch: int, cores: Collection[int]) -> WorkerRun:
    """Let a worker apply a backlog; measure from a tenth of it to nine tenths."""
    publish(services.settings, count, _TABLES)
    settings = {"BATCH_MAX_MESSAGES": str(batch)}
    with services.worker("worker", cores, settings) as worker:

        def wait_for(share: float) -> tuple[float, float, int]:
            def reached() -> bool:
                worker.check()
                return services.backlog() <= count * share

            wait_until(reached, 60 + count / 50, f"{share:.0%} of the backlog is left")
            return time.perf_counter(), worker.cpu_seconds(), services.backlog()

        began, cpu_before, before = wait_for(0.9)
        ended, cpu_after, after = wait_for(0.1)
        wait_for(0)
        check_worker_log(worker)
    applied = before - after
    if applied <= 0:
        raise RunFailed(f"one batch emptied the backlog of {count:,}: nothing to measure")
    return WorkerRun(applied / (ended - began), (cpu_after - cpu_before) / applied * 1e6)


def check_worker_log(worker: Service) -> None:
    """Raise RunFailed if a worker logged anything except its normal work."""
    for line in worker.output.splitlines():
        if '"level":"INFO"' not in line and "metrics_push_failed" not in line:
            raise RunFailed(f"a worker reported a problem: {line}")


def statement_count(count: int, tables: int, column_sets: int) -> int:
    """Return how many data statements a batch of `count` transactions becomes."""
    activities = (each for t in transactions(count, tables, column_sets) for each in t.activities)
    return sql.script("p.d", fold(activities), sql.LaneSettlement(0, 0, "", [], [])).statements


def _result(
    stages: list[StageTimes],
    workers: list[WorkerRun],
    loads: list[LoadCost],
    embedded: WorkerRun | None,
) -> BenchResult:
    times, whole, load = by_field(stages), by_field(workers), by_field(loads)
    own = Samples.of(cpu - times["client"].median for cpu in whole["cpu"].values)
    rest = own.median - sum(times[name].median for name in _NAMES)
    statements = max(
        statement_count(1_000, *shape) / statement_count(100, *shape) for shape in SHAPES
    )
    pairs = Samples.of(1e6 / each.fold for each in stages)
    keyed = Samples.of(1e6 / each.keyed for each in stages)
    bars = {name: times[name].median for name in _NAMES}
    bars |= {"rest": rest, "client": times["client"].median}
    return BenchResult(
        title="Apply: one worker and a full backlog",
        method=_METHOD,
        checks=(
            TargetCheck("apply_cpu", own),
            TargetCheck("apply_statements", Samples.of([statements])),
            TargetCheck("apply_fold", pairs),
            TargetCheck("apply_keyed", keyed),
            TargetCheck("contract_check", times["contracts"]),
            TargetCheck("contract_load", load["seconds"]),
            TargetCheck("contract_memory", load["megabytes"]),
        ),
        tables=(
            _time_table(times, whole["cpu"], own, rest),
            _rate_table(whole["rate"], embedded),
            _statement_table(),
        ),
        plots=(Plot.bars("apply_cpu", "Processor time of a transaction", "µs", {"": bars}),),
        data={"stages": stages, "workers": workers, "loads": loads, "warehouse": embedded},
    )


def _time_table(
    times: dict[str, Samples], whole: Samples, own: Samples, rest: float
) -> ResultTable:
    rows = (
        *((text, times[name].text(1)) for name, text in _NAMES.items()),
        ("pull, leases, acks, event loop (the rest)", f"{rest:,.1f}"),
        ("our own, total", own.text(1)),
        ("BigQuery client", times["client"].text(1)),
        ("the worker process", whole.text(1)),
    )
    return ResultTable("Processor time", ("stage", "µs a transaction"), rows)


def _rate_table(rate: Samples, embedded: WorkerRun | None) -> ResultTable:
    rows = [("a fake BigQuery, no delay", rate.text())]
    if embedded is not None:
        rows.append(("the embedded BigQuery, on the same cores", f"{embedded.rate:,.0f}"))
    return ResultTable("A full backlog", ("against", "transactions/s"), tuple(rows))


def _statement_table() -> ResultTable:
    rows = tuple(
        (
            f"{tables} tables, {column_sets} sets of columns",
            *(f"{statement_count(count, tables, column_sets)}" for count in _COUNTS),
        )
        for tables, column_sets in SHAPES
    )
    columns = ("statements a batch", *(f"{count:,} transactions" for count in _COUNTS))
    return ResultTable("Statements", columns, rows)
