"""How fast one server accepts transactions, next to baselines: `gatekeeper bench ingest`."""

import time
from typing import Final, NamedTuple

from ops.bench.bench_progress import rounds
from ops.bench.load_generator import LoadGenerator
from ops.bench.machine import Cores
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.samples import Samples, by_field, ratios
from ops.rig.environment import Environment, RunningServer

SERVERS: Final[dict[str, tuple[str, ...]]] = {
    "gatekeeper": ("server",),
    "null": ("ops.bench.baselines", "null"),
    "futures": ("ops.bench.baselines", "futures"),
    "minimal": ("ops.bench.minimal_server",),
}
_METHOD: Final = """\
One server process takes the locustfile's mix of transactions. A connection sends its next
transaction when the one before it is answered. Four servers run at the same time and take turns,
round by round: `gatekeeper` answers when the embedded Pub/Sub has the transaction on disk; `null`
is the same server with a publisher that confirms immediately; `futures` is the same server with
Google's PublisherClient; `minimal` is the smallest server that takes JSON over HTTP (aiohttp,
uvloop, orjson, one compiled voluptuous schema; no publishing, no log, no metrics). The measured
server has a core for itself; the load generator and Pub/Sub share the others. Ratios are between
values of the same round."""


class IngestSize(NamedTuple):
    connections: tuple[int, ...] = (64, 512)
    rounds: int = 5
    warm_up_seconds: float = 1.0
    seconds: float = 4.0


_QUICK: Final = IngestSize((8,), 1, 0.5, 2.0)


class IngestTurn(NamedTuple):
    """One server's turn: answers a second, latencies in ms, CPU in µs a request."""

    rate: float
    p50: float
    p99: float
    cpu: float
    generator: float
    """The percentage of a core that the load generator took."""


type Turns = dict[str, list[IngestTurn]]
type Figures = dict[str, dict[str, Samples]]
"""Server → field of IngestTurn → samples."""

_COLUMNS: Final = {
    "requests/s": ("rate", 0),
    "p50 ms": ("p50", 1),
    "p99 ms": ("p99", 1),
    "CPU µs a request": ("cpu", 0),
    "generator's core %": ("generator", 0),
}
"""Title → field and its digits."""
_CHECKS: Final = (
    ("ingest_64", 64, "rate", "gatekeeper", "null"),
    ("ingest_p99_64", 64, "p99", "gatekeeper", "null"),
    ("ingest_null", 64, "rate", "null", "minimal"),
    ("ingest_512", 512, "rate", "gatekeeper", "null"),
    ("ingest_p99_512", 512, "p99", "gatekeeper", "null"),
)
"""(target, connections, field, server, divided by that of another server)"""


def run(*, quick: bool) -> BenchResult:
    """Measure every server at every number of connections."""
    size = _QUICK if quick else IngestSize()
    cores = Cores.split()
    found: dict[int, Turns] = {}
    with Environment() as services:
        services.pubsub(cores.others)
        services.bigquery(cores.others)  # a server is ready once it has seen the ledger
        servers = {
            name: services.server(name, *words, cores=cores.measured)
            for name, words in SERVERS.items()
        }
        for connections in size.connections:
            turns = found[connections] = {name: [] for name in SERVERS}
            for _ in rounds(size.rounds, f"ingest: {connections} connections"):
                for name, server in servers.items():
                    options = (services.folder, server.address, connections)
                    with LoadGenerator(*options, cores=cores.others) as load:
                        turns[name].append(_turn(load, server, size))
                    services.check()
                services.purge()
    return _result(found)


def _turn(load: LoadGenerator, server: RunningServer, size: IngestSize) -> IngestTurn:
    load.warm_up(size.warm_up_seconds)
    load.mark()
    cpu = server.process.cpu_seconds()
    time.sleep(size.seconds)
    report = load.report()
    cpu = server.process.cpu_seconds() - cpu
    return IngestTurn(
        rate=report.rate,
        p50=report.p50 * 1e3,
        p99=report.p99 * 1e3,
        cpu=cpu / max(report.answered, 1) * 1e6,
        generator=report.cpu_seconds / report.seconds * 100,
    )


def _result(found: dict[int, Turns]) -> BenchResult:
    figures = {
        connections: {name: by_field(own) for name, own in turns.items()}
        for connections, turns in found.items()
    }
    return BenchResult(
        title="Ingest: one server process",
        method=_METHOD,
        checks=_checks(figures),
        tables=tuple(_table(f"{n} connections", servers) for n, servers in figures.items()),
        plots=(
            _plot("ingest_rate", "requests/s", "rate", figures),
            _plot("ingest_p99", "p99, ms", "p99", figures),
        ),
        data=found,
    )


def _checks(figures: dict[int, Figures]) -> tuple[TargetCheck, ...]:
    return tuple(
        TargetCheck(name, ratios(servers[server][field], servers[to][field]))
        for name, connections, field, server, to in _CHECKS
        if (servers := figures.get(connections))
    )


def _table(title: str, servers: Figures) -> ResultTable:
    rows = tuple(
        (name, *(own[field].text(digits) for field, digits in _COLUMNS.values()))
        for name, own in servers.items()
    )
    return ResultTable(title, ("server", *_COLUMNS), rows)


def _plot(name: str, y: str, field: str, figures: dict[int, Figures]) -> Plot:
    series = {
        f"{connections} connections": {server: own[field].median for server, own in servers.items()}
        for connections, servers in figures.items()
    }
    return Plot.bars(name, "One server process", y, series)
