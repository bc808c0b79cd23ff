"""How fast one server takes transactions, beside what bounds it: the work of `bench ingest`."""

import time
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from ops.bench.figures import Samples, ratios
from ops.bench.machine import Cores
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.bench.sender import Sender
from ops.rig.environment import Environment, RunningServer

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "gatekeeper": ("server",),
    "null": ("ops.bench.baselines", "null"),
    "futures": ("ops.bench.baselines", "futures"),
    "sketch": ("ops.bench.minimal_server",),
}
_METHOD: Final = """\
One server process takes the locustfile's mix of transactions, each answered before the connection
sends its next. Four servers run side by side and take turns, round by round: `gatekeeper`, which
answers when the embedded Pub/Sub has the transaction on disk; `null`, the same server whose
publisher confirms at once; `futures`, the same server publishing through Google's PublisherClient;
and `sketch`, the least that takes JSON over HTTP (aiohttp, uvloop, orjson, one compiled voluptuous
schema; no publishing, no log, no metrics). The server that is measured has a core alone; the load
generator and Pub/Sub share the others, in every column alike. Ratios are of the same round."""


class Size(NamedTuple):
    """How long to measure."""

    connections: tuple[int, ...] = (64, 512)
    rounds: int = 7
    warm_up: float = 1.0
    seconds: float = 4.0


QUICK: Final = Size((8,), 1, 0.2, 0.5)


class Turn(NamedTuple):
    """One column's turn: answers a second, latencies in milliseconds, CPU in µs a request."""

    rate: float
    p50: float
    p99: float
    cpu: float
    generator: float
    """The share of a core that the load generator took."""


type Turns = dict[str, list[Turn]]


def run(size: Size) -> Result:
    """Measure every column at every number of connections."""
    began = time.monotonic()
    cores = Cores.split()
    found: dict[int, Turns] = {}
    with Environment() as environment:
        environment.pubsub(cores.others)
        served = {
            name: environment.server(name, *words, cores=cores.measured)
            for name, words in COLUMNS.items()
        }
        for connections in size.connections:
            turns: Turns = {name: [] for name in COLUMNS}
            for number in range(size.rounds):
                say(f"ingest: {connections} connections, round {number + 1} of {size.rounds}")
                for name, server in served.items():
                    turns[name].append(_turn(environment, server, connections, size, cores.others))
                environment.purge()
            found[connections] = turns
    return _result(found, time.monotonic() - began)


def _turn(
    environment: Environment,
    server: RunningServer,
    connections: int,
    size: Size,
    cores: Collection[int],
) -> Turn:
    with Sender(environment.folder, server.address, connections, cores=cores) as sender:
        sender.warm_up(size.warm_up)
        sender.mark()
        cpu = server.process.cpu_seconds()
        time.sleep(size.seconds)
        report = sender.report()
        cpu = server.process.cpu_seconds() - cpu
    environment.check()
    return Turn(
        rate=report.rate,
        p50=report.p50 * 1e3,
        p99=report.p99 * 1e3,
        cpu=cpu / max(report.answered, 1) * 1e6,
        generator=report.cpu_seconds / report.seconds,
    )


def _checks(found: dict[int, Turns]) -> list[Check]:
    checks = []
    for connections, turns in found.items():
        if connections in {64, 512}:
            own, null = turns["gatekeeper"], turns["null"]
            rate = ratios([turn.rate for turn in own], [turn.rate for turn in null])
            p99 = ratios([turn.p99 for turn in own], [turn.p99 for turn in null])
            checks.append(Check(f"ingest_{connections}", rate))
            checks.append(Check(f"ingest_p99_{connections}", p99))
        if connections == 64:  # noqa: PLR2004  # the target's
            null, sketch = turns["null"], turns["sketch"]
            rate = ratios([turn.rate for turn in null], [turn.rate for turn in sketch])
            checks.append(Check("ingest_null", rate))
    return checks


def _grid(connections: int, turns: Turns) -> Grid:
    def cell(values: Sequence[float], digits: int = 0) -> str:
        return Samples(tuple(values)).text(digits)

    rows = tuple(
        (
            name,
            cell([turn.rate for turn in each]),
            cell([turn.p50 for turn in each], 1),
            cell([turn.p99 for turn in each], 1),
            cell([turn.cpu for turn in each]),
            cell([turn.generator * 100 for turn in each]),
        )
        for name, each in turns.items()
    )
    columns = ("server", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "generator's core %")
    return Grid(f"{connections} connections", columns, rows)


def _plots(found: dict[int, Turns]) -> list[Plot]:
    def bars(take: str) -> dict[str, tuple[tuple[float, float], ...]]:
        return {
            f"{connections} connections": tuple(
                (float(place), Samples(tuple(getattr(turn, take) for turn in turns[name])).median)
                for place, name in enumerate(COLUMNS)
            )
            for connections, turns in found.items()
        }

    ticks = tuple(COLUMNS)
    return [
        Plot("ingest_rate", "One server process", "", "requests/s", bars("rate"), ticks),
        Plot("ingest_p99", "One server process", "", "p99, ms", bars("p99"), ticks),
    ]


def _result(found: dict[int, Turns], seconds: float) -> Result:
    data: dict[str, Any] = {
        str(connections): {name: [turn._asdict() for turn in each] for name, each in turns.items()}
        for connections, turns in found.items()
    }
    return Result(
        bench="ingest",
        title="Ingest: one server process",
        method=_METHOD,
        checks=tuple(_checks(found)),
        grids=tuple(_grid(connections, turns) for connections, turns in found.items()),
        plots=tuple(_plots(found)),
        seconds=seconds,
        data=data,
    )
