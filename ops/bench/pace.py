"""Whether the embedded services keep their pace: the work of `bench pace`."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from ops.bench.batches import deliveries
from ops.bench.feed import tables
from ops.bench.figures import Samples
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.rig import RunFailed
from ops.rig.environment import Environment
from ops.rig.transaction_mix import COLUMNS, TYPES
from ops.runtime import clients
from schema import parse_type
from workers import ledger, sql
from workers.entry import decode
from workers.fold import fold
from workers.warehouse import Warehouse

_METHOD: Final = """\
*BigQuery*: batches of a few transactions on four tables are committed one after another until there
were 50, and some more are timed; then four at a time, each on a table of its own, until there were
5,000, and as many are timed again, one after another. The embedded service compacts all the while,
as it does in a fleet. *Pub/Sub*: a client with requests made beforehand publishes messages of
two-activity transactions, and then pulls and acknowledges them in one stream; every publish and
every acknowledgement is on disk before it is answered. Client and service share the machine."""


class Size(NamedTuple):
    """How much to measure."""

    early: int = 50
    late: int = 5_000
    timed: int = 60
    batch: int = 20
    messages: int = 60_000
    rounds: int = 5
    a_call: int = 500


QUICK: Final = Size(4, 12, 4, 5, 2_000, 1, 500)
_AT_ONCE: Final = 4
_HOUR: Final = 3600.0


def run(size: Size) -> Result:
    """Measure both services."""
    began = time.monotonic()
    published, pulled = _pubsub(size)
    early, late, along = _bigquery(size)
    return _result(size, published, pulled, early, late, along, time.monotonic() - began)


def _pubsub(size: Size) -> tuple[Samples, Samples]:
    published, pulled = [], []
    with Environment() as environment:
        environment.pubsub()
        for number in range(size.rounds):
            say(f"pace: Pub/Sub, round {number + 1} of {size.rounds}")
            options = ("--tables", "4", "--a-call", str(size.a_call))
            published.append(_rate(environment, "feed", str(size.messages), *options))
            pulled.append(_rate(environment, "drain", str(size.messages)))
            if left := environment.backlog():
                raise RunFailed(f"{left} messages were left after all had been acknowledged")
    return Samples(tuple(published)), Samples(tuple(pulled))


def _rate(environment: Environment, module: str, *options: str) -> float:
    with environment.process(module, f"ops.bench.{module}", *options) as process:
        if process.wait(300):
            raise RunFailed(f"{module} failed:\n{process.end_of_output}")
        found = json.loads(process.end_of_output.splitlines()[-1])
    return float(found["messages"] / found["seconds"])


class _Commits:
    """Commits batches as a worker does, one Warehouse for each thread."""

    def __init__(self, environment: Environment, batch: int) -> None:
        self._environment = environment
        self._batch = batch
        self._warehouse = Warehouse(clients.warehouse(environment.settings), environment.settings)

    def commit(self, table: str) -> float:
        """Commit one batch on a table and return the seconds that took."""
        entries = [decode(each) for each in deliveries(self._batch, 1)]
        activities = [
            activity._replace(table=table)
            for entry in entries
            if entry.transaction
            for activity in entry.transaction.activities
        ]
        rows = [ledger.row(entry, None, "bench") for entry in entries]
        ids = [entry.message.id for entry in entries]
        dataset = self._environment.settings.dataset_path
        script = sql.script(dataset, fold(activities), sql.Settlement(ids, [], rows))
        began = time.perf_counter()
        asyncio.run(self._warehouse.commit(script, lambda: _HOUR))
        return time.perf_counter() - began


def _bigquery(size: Size) -> tuple[Samples, Samples, list[tuple[float, float]]]:
    names = tables(_AT_ONCE)
    along: list[tuple[float, float]] = []
    with Environment() as environment:
        environment.bigquery()
        _make_tables(environment, names)
        workers = [_Commits(environment, size.batch) for _ in names]

        def one_by_one(done: int, count: int) -> list[float]:
            found = []
            for number in range(count):
                place = number % len(names)
                found.append(workers[place].commit(names[place]))
                along.append((float(done + number), found[-1]))
            return found

        one_by_one(0, size.early)
        early = one_by_one(size.early, size.timed)
        done = size.early + size.timed
        with ThreadPoolExecutor(len(names)) as pool:
            while done < size.late:
                list(pool.map(lambda w, t: w.commit(t), workers, names))
                done += len(names)
                if done % 500 < len(names):
                    say(f"pace: {done:,} of {size.late:,} batches committed")
                    one_by_one(done, len(names))
                    done += len(names)
        late = one_by_one(done, size.timed)
        environment.check()
    return Samples(tuple(early)), Samples(tuple(late)), along


def _make_tables(environment: Environment, names: tuple[str, ...]) -> None:
    client = clients.warehouse(environment.settings)
    columns = [(name, parse_type(text)) for name, text in zip(COLUMNS, TYPES, strict=True)]
    for name in names:
        client.query_and_wait(sql.create_table(environment.settings.dataset_path, name, columns))
    client.close()  # type: ignore[no-untyped-call]


def _result(  # noqa: PLR0913, PLR0917  # each is a part of the report
    size: Size,
    published: Samples,
    pulled: Samples,
    early: Samples,
    late: Samples,
    along: list[tuple[float, float]],
    seconds: float,
) -> Result:
    ratio = late.median / early.median
    in_ms = [Samples(tuple(value * 1e3 for value in each.values)) for each in (early, late)]
    return Result(
        bench="pace",
        title="Pace of the embedded services",
        method=_METHOD,
        checks=(
            Check("pace_warehouse", Samples((ratio,))),
            Check("pace_published", published),
            Check("pace_pulled", pulled),
        ),
        grids=(
            Grid(
                f"A transaction of {size.batch} on the embedded BigQuery",
                ("committed before", "ms"),
                ((f"{size.early:,}", in_ms[0].text()), (f"{size.late:,}", in_ms[1].text())),
            ),
            Grid(
                "The embedded Pub/Sub, durably",
                ("", "messages/s"),
                (("published", published.text()), ("pulled and acked", pulled.text())),
            ),
        ),
        plots=(
            Plot(
                "pace",
                "A transaction on the embedded BigQuery",
                "batches committed before",
                "ms",
                {"": tuple((x, y * 1e3) for x, y in along)},
            ),
        ),
        seconds=seconds,
        data={
            "published": list(published.values),
            "pulled": list(pulled.values),
            "early": list(early.values),
            "late": list(late.values),
        },
    )
