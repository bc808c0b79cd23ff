"""Whether the embedded services stay as fast over time: `gatekeeper bench pace`."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import schema
from ops.bench.bench_progress import show_progress
from ops.bench.pubsub_load import publish, pull_and_ack, table_names
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.sample_batches import activities_of, commit_script, sample_deliveries
from ops.bench.samples import Samples
from ops.rig import RunFailed
from ops.rig.environment import Environment
from ops.rig.transaction_mix import COLUMNS, TYPES
from ops.runtime import clients
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


QUICK: Final = PaceSize(4, 12, 4, 5, 2_000, 1)


class _PubsubRates(NamedTuple):
    """Messages a second."""

    published: Samples
    pulled: Samples


def run(size: PaceSize) -> BenchResult:
    return _result(size, _measure_pubsub(size), _measure_bigquery(size))


def _measure_pubsub(size: PaceSize) -> _PubsubRates:
    published, pulled = [], []
    with Environment() as services:
        services.pubsub()
        for number in range(size.rounds):
            show_progress(f"pace: Pub/Sub, round {number + 1} of {size.rounds}")
            published.append(size.messages / publish(services.settings, size.messages))
            pulled.append(size.messages / pull_and_ack(services.settings, size.messages))
            if left := services.backlog():
                raise RunFailed(f"{left} messages were left after all had been acked")
    return _PubsubRates(Samples.of(published), Samples.of(pulled))


class _Committer:
    """Commits batches on one table as a worker does, and counts them together with the others."""

    def __init__(self, services: Environment, table: str, batch: int) -> None:
        self._dataset = services.settings.dataset_path
        self._warehouse = Warehouse(clients.warehouse(services.settings), services.settings)
        self._table = table
        self._batch = batch

    def commit(self) -> float:
        """Commit one batch and return the milliseconds."""
        entries = [decode(each) for each in sample_deliveries(self._batch, 1)]
        changes = fold(each._replace(table=self._table) for each in activities_of(entries))
        script = commit_script(self._dataset, changes, entries)
        began = time.perf_counter()
        asyncio.run(self._warehouse.commit(script, lambda: _NO_DEADLINE_SECONDS))
        return (time.perf_counter() - began) * 1e3


class _Commits:
    """Counts the batches of several committers; `timed` has (batches before, milliseconds)."""

    def __init__(self, committers: list[_Committer]) -> None:
        self._committers = committers
        self.count = 0
        self.timed: list[tuple[float, float]] = []

    def one_by_one(self, count: int) -> Samples:
        found = []
        for number in range(count):
            found.append(self._committers[number % len(self._committers)].commit())
            self.timed.append((float(self.count), found[-1]))
            self.count += 1
        return Samples.of(found)

    def concurrently_until(self, count: int) -> None:
        with ThreadPoolExecutor(len(self._committers)) as pool:
            while self.count < count:
                list(pool.map(_Committer.commit, self._committers))
                self.count += len(self._committers)
                if self.count % _TIMED_EVERY < len(self._committers):
                    show_progress(f"pace: {self.count:,} of {count:,} batches committed")
                    self.one_by_one(len(self._committers))


class _BigQueryTimes(NamedTuple):
    """Milliseconds of a commit; `timed` is (batches before, milliseconds)."""

    early: Samples
    late: Samples
    timed: tuple[tuple[float, float], ...]


def _measure_bigquery(size: PaceSize) -> _BigQueryTimes:
    names = table_names(_TABLES)
    with Environment() as services:
        services.bigquery()
        _make_tables(services, names)
        commits = _Commits([_Committer(services, name, size.batch) for name in names])
        commits.one_by_one(size.early)
        early = commits.one_by_one(size.timed)
        commits.concurrently_until(size.late)
        late = commits.one_by_one(size.timed)
        services.check()
    return _BigQueryTimes(early, late, tuple(commits.timed))


def _make_tables(services: Environment, names: tuple[str, ...]) -> None:
    client = clients.warehouse(services.settings)
    columns = [(name, schema.parse_type(text)) for name, text in zip(COLUMNS, TYPES, strict=True)]
    for name in names:
        client.query_and_wait(sql.create_table(services.settings.dataset_path, name, columns))
    client.close()  # type: ignore[no-untyped-call]


def _result(size: PaceSize, pubsub: _PubsubRates, bigquery: _BigQueryTimes) -> BenchResult:
    early, late = bigquery.early, bigquery.late
    return BenchResult(
        title="Pace of the embedded services",
        method=_METHOD,
        checks=(
            TargetCheck("pace_warehouse", Samples.of([late.median / early.median])),
            TargetCheck("pace_published", pubsub.published),
            TargetCheck("pace_pulled", pubsub.pulled),
        ),
        tables=(
            ResultTable(
                f"A batch of {size.batch} transactions on the embedded BigQuery",
                ("committed before", "ms"),
                ((f"{size.early:,}", early.text()), (f"{size.late:,}", late.text())),
            ),
            ResultTable(
                "The embedded Pub/Sub, each message on disk",
                ("", "messages/s"),
                (
                    ("published", pubsub.published.text()),
                    ("pulled and acked", pubsub.pulled.text()),
                ),
            ),
        ),
        plots=(
            Plot(
                "pace",
                "A batch on the embedded BigQuery",
                "batches committed before",
                "ms",
                {"": bigquery.timed},
            ),
        ),
        data={
            "published": list(pubsub.published.values),
            "pulled": list(pubsub.pulled.values),
            "early_ms": list(early.values),
            "late_ms": list(late.values),
        },
    )
