"""Whether the embedded services stay as fast over time: `gatekeeper bench pace`."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Final, NamedTuple

import schema
from ops.bench.bench_progress import rounds, show_progress
from ops.bench.pubsub_load import publish, pull_and_ack, table_names
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.sample_batches import activities_of, commit_script, sample_deliveries
from ops.bench.samples import Samples
from ops.rig import RunFailed
from ops.rig.environment import Environment
from ops.rig.transaction_mix import COLUMNS, TYPES
from ops.runtime import clients
from ops.runtime.settings import Settings
from workers import sql
from workers.entry import decode
from workers.fold import fold
from workers.warehouse import Warehouse

_METHOD: Final = """\
*BigQuery*: batches of a few transactions on four tables are committed one after another. After the
first 50, some are timed. Then four batches at a time are committed, each on its own table, until
there are 5,000, and again some are timed, one after another. The embedded service compacts its
files meanwhile, as in a fleet. *Pub/Sub*: a client publishes messages of two-activity transactions,
with requests made beforehand, and then pulls and acks them in one stream. Each publish and each ack
is on disk before it is answered. Client and service share the machine."""
_TABLES: Final = 4
_NO_DEADLINE_SECONDS: Final = 3600.0
_TIMED_EVERY: Final = 500
"""Batches between two samples for the plot."""


class PaceSize(NamedTuple):
    early: int = 50
    late: int = 5_000
    timed: int = 60
    batch: int = 20
    messages: int = 60_000
    rounds: int = 5


_QUICK: Final = PaceSize(4, 12, 4, 5, 2_000, 1)


class _PubsubRates(NamedTuple):
    """Messages a second."""

    published: Samples
    pulled: Samples


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else PaceSize()
    return _result(size, _measure_pubsub(size), _measure_bigquery(size))


def _measure_pubsub(size: PaceSize) -> _PubsubRates:
    published, pulled = [], []
    with Environment() as services:
        services.pubsub()
        for _ in rounds(size.rounds, "pace: Pub/Sub"):
            published.append(size.messages / publish(services.settings, size.messages))
            pulled.append(size.messages / pull_and_ack(services.settings, size.messages))
            if left := services.backlog():
                raise RunFailed(f"{left} messages were left after all had been acked")
    return _PubsubRates(Samples.of(published), Samples.of(pulled))


class _Commits:
    """Commits batches as a worker does, each table with its own client."""

    def __init__(self, settings: Settings, batch: int) -> None:
        self._dataset = settings.dataset_path
        self._batch = batch
        self._warehouses = {
            table: Warehouse(clients.warehouse(settings), settings)
            for table in table_names(_TABLES)
        }
        self._count = 0
        self.timed: list[tuple[float, float]] = []
        """(batches committed before, milliseconds)"""

    def _commit(self, table: str) -> float:
        """Commit one batch and return the milliseconds."""
        entries = [decode(each) for each in sample_deliveries(self._batch, 1)]
        changes = fold(each._replace(table=table) for each in activities_of(entries))
        script = commit_script(self._dataset, changes, entries)
        began = time.perf_counter()
        asyncio.run(self._warehouses[table].commit(script, lambda: _NO_DEADLINE_SECONDS))
        return (time.perf_counter() - began) * 1e3

    def one_by_one(self, count: int) -> Samples:
        found = []
        for table in islice(cycle(self._warehouses), count):
            found.append(self._commit(table))
            self.timed.append((float(self._count), found[-1]))
            self._count += 1
        return Samples.of(found)

    def concurrently_until(self, count: int) -> None:
        with ThreadPoolExecutor(_TABLES) as pool:
            while self._count < count:
                list(pool.map(self._commit, self._warehouses))
                self._count += _TABLES
                if self._count % _TIMED_EVERY < _TABLES:
                    show_progress(f"pace: {self._count:,} of {count:,} batches committed")
                    self.one_by_one(_TABLES)


class _BigQueryTimes(NamedTuple):
    """Milliseconds of a commit; `timed` is (batches before, milliseconds)."""

    early: Samples
    late: Samples
    timed: tuple[tuple[float, float], ...]


def _measure_bigquery(size: PaceSize) -> _BigQueryTimes:
    with Environment() as services:
        services.bigquery()
        _make_tables(services.settings)
        commits = _Commits(services.settings, size.batch)
        commits.one_by_one(size.early)
        early = commits.one_by_one(size.timed)
        commits.concurrently_until(size.late)
        late = commits.one_by_one(size.timed)
        services.check()
    return _BigQueryTimes(early, late, tuple(commits.timed))


def _make_tables(settings: Settings) -> None:
    client = clients.warehouse(settings)
    columns = [(name, schema.parse_type(text)) for name, text in zip(COLUMNS, TYPES, strict=True)]
    for name in table_names(_TABLES):
        client.query_and_wait(sql.create_table(settings.dataset_path, name, columns))
    client.close()  # type: ignore[no-untyped-call]


def _result(size: PaceSize, pubsub: _PubsubRates, bigquery: _BigQueryTimes) -> BenchResult:
    early, late, plotted = bigquery.early, bigquery.late, "A batch on the embedded BigQuery"
    times = ((f"{size.early:,}", early.text()), (f"{size.late:,}", late.text()))
    rates = (("published", pubsub.published.text()), ("pulled and acked", pubsub.pulled.text()))
    title = f"A batch of {size.batch} transactions on the embedded BigQuery"
    return BenchResult(
        title="Pace of the embedded services",
        method=_METHOD,
        checks=(
            TargetCheck("pace_warehouse", Samples.of([late.median / early.median])),
            TargetCheck("pace_published", pubsub.published),
            TargetCheck("pace_pulled", pubsub.pulled),
        ),
        tables=(
            ResultTable(title, ("committed before", "ms"), times),
            ResultTable("The embedded Pub/Sub, each message on disk", ("", "messages/s"), rates),
        ),
        plots=(Plot("pace", plotted, "batches committed before", "ms", {"": bigquery.timed}),),
        data={"pubsub": pubsub, "bigquery": bigquery},
    )
