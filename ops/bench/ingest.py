"""How fast one server accepts transactions, next to baselines: `gatekeeper bench ingest`."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from ops.bench.bench_progress import rounds
from ops.bench.load_generator import LoadGenerator
from ops.bench.machine import Cores
from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.samples import Samples, ratios
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
    rounds: int = 7
    warm_up_seconds: float = 1.0
    seconds: float = 4.0


_QUICK: Final = IngestSize((8,), 1, 0.2, 0.5)


class IngestTurn(NamedTuple):
    """One server's turn: answers a second, latencies in ms, CPU in µs a request."""

    rate: float
    p50: float
    p99: float
    cpu: float
    generator: float
    """The share of a core that the load generator took."""


type Turns = dict[str, list[IngestTurn]]


def run(*, quick: bool) -> BenchResult:
    """Measure every server at every number of connections."""
    size = _QUICK if quick else IngestSize()
    cores = Cores.split()
    found: dict[int, Turns] = {}
    with Environment() as services:
        services.pubsub(cores.others)
        servers = {
            name: services.server(name, *words, cores=cores.measured)
            for name, words in SERVERS.items()
        }
        for connections in size.connections:
            turns: Turns = {name: [] for name in SERVERS}
            for _ in rounds(size.rounds, f"ingest: {connections} connections"):
                for name, server in servers.items():
                    load = LoadGenerator(
                        services.folder, server.address, connections, cores=cores.others
                    )
                    turns[name].append(_turn(load, server, size))
                    services.check()
                services.purge()
            found[connections] = turns
    return _result(found)


def _turn(load: LoadGenerator, server: RunningServer, size: IngestSize) -> IngestTurn:
    with load:
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
        generator=report.cpu_seconds / report.seconds,
    )


def _rates(turns: list[IngestTurn]) -> list[float]:
    return [turn.rate for turn in turns]


def _p99s(turns: list[IngestTurn]) -> list[float]:
    return [turn.p99 for turn in turns]


def _checks(found: dict[int, Turns]) -> list[TargetCheck]:
    checks = []
    for connections in (64, 512):
        if connections not in found:
            continue
        own, null = found[connections]["gatekeeper"], found[connections]["null"]
        checks += [
            TargetCheck(f"ingest_{connections}", ratios(_rates(own), _rates(null))),
            TargetCheck(f"ingest_p99_{connections}", ratios(_p99s(own), _p99s(null))),
        ]
    if 64 in found:  # noqa: PLR2004  # the target's
        null, minimal = found[64]["null"], found[64]["minimal"]
        checks.append(TargetCheck("ingest_null", ratios(_rates(null), _rates(minimal))))
    return checks


def _table(connections: int, turns: Turns) -> ResultTable:
    rows = tuple(
        (
            name,
            Samples.of(_rates(own)).text(),
            Samples.of(turn.p50 for turn in own).text(1),
            Samples.of(_p99s(own)).text(1),
            Samples.of(turn.cpu for turn in own).text(),
            Samples.of(turn.generator * 100 for turn in own).text(),
        )
        for name, own in turns.items()
    )
    columns = ("server", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "generator's core %")
    return ResultTable(f"{connections} connections", columns, rows)


def _plot(
    name: str, y: str, found: dict[int, Turns], values: Callable[[list[IngestTurn]], list[float]]
) -> Plot:
    series = {
        f"{connections} connections": {
            server: Samples.of(values(own)).median for server, own in turns.items()
        }
        for connections, turns in found.items()
    }
    return Plot.bars(name, "One server process", y, series)


def _result(found: dict[int, Turns]) -> BenchResult:
    return BenchResult(
        title="Ingest: one server process",
        method=_METHOD,
        checks=tuple(_checks(found)),
        tables=tuple(_table(connections, turns) for connections, turns in found.items()),
        plots=(
            _plot("ingest_rate", "requests/s", found, _rates),
            _plot("ingest_p99", "p99, ms", found, _p99s),
        ),
        data=found,
    )
