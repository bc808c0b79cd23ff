"""Two sources on one fleet: one sends at a steady rate, the other is hostile in every way.

`python -m tests.support.two_sources --seconds 60` prints the steady source's answers and what was
applied of it before, during and after the attack. It fails if the steady source is refused, is
slower than SLOWER times itself (and than FLOOR_SECONDS), or is not applied whole. The steady source
has its own process: `--steady FIRST` is what it runs.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.attack import Attack, authorized
from tests.support.hostile import SLOWER
from tests.support.server import LIMIT
from tests.support.stream import insert, transaction

RATE = 20
"""Transactions a second of the steady source."""
FLOOR_SECONDS = 0.5
"""An answer faster than this is never too slow."""
APPLIED_SECONDS = 120

_PHASES = ("before", "during", "after")


class Answers(NamedTuple):
    """The steady source's answers of one phase: seconds each, and how many were not 200."""

    seconds: list[float]
    refused: int
    began: str
    ended: str

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98]


class Applied(NamedTuple):
    """What was applied of a phase's transactions, and the seconds from receipt to commit."""

    rows: int
    p50: float
    p99: float


async def steady(url: str, key: str, seconds: float, first: int) -> Answers:
    """POST an insert RATE times a second, whatever becomes of those before."""
    numbers = itertools.count(first)
    times: list[float] = []
    refused = 0

    async def post(session: aiohttp.ClientSession) -> None:
        nonlocal refused
        began = time.perf_counter()
        payload = transaction(insert("steady", n=next(numbers)))
        async with session.post(url + "/api/activities", json=payload) as answer:
            await answer.read()
            refused += answer.status != 200
        times.append(time.perf_counter() - began)

    started = datetime.now(UTC).isoformat()
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(headers=authorized(key), timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(round(seconds * RATE)):
            group.create_task(post(session))
            await asyncio.sleep(1 / RATE)
    return Answers(times, refused, started, datetime.now(UTC).isoformat())


async def measured(
    fleet: DisposableFleet, keys: dict[str, str], seconds: float, seed: int
) -> tuple[list[Answers], Attack]:
    """Return the steady source's answers of each phase, and the attack."""

    async def phase(length: float, first: int) -> Answers:
        options = {
            "--steady": str(first),
            "--seconds": str(length),
            "--url": f"http://{fleet.address}",
            "--key": keys["steady"],
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.two_sources",
            *itertools.chain(*options.items()),
            stdout=PIPE,
        )
        output, _ = await process.communicate()
        return Answers(*json.loads(output))

    attack = Attack(fleet, keys["hostile"], seed)
    await phase(5, 10**9)  # warm
    answers = [await phase(seconds, 0)]
    async with attack.running():
        answers.append(await phase(seconds, 10**6))
    answers.append(await phase(seconds, 2 * 10**6))
    return answers, attack


def applied(fleet: DisposableFleet, phase: Answers) -> Applied:
    """Return what the ledger has of the transactions received in a phase."""
    times = [
        row["seconds"]
        for row in fleet.query(
            "SELECT TIMESTAMP_DIFF(settled_at, received_at, MILLISECOND) / 1000 AS seconds"
            " FROM gatekeeper_ledger WHERE source = 'steady' AND state = 'applied'"
            f" AND received_at BETWEEN '{phase.began}' AND '{phase.ended}'"
        )
    ]
    if len(times) < 2:
        return Applied(len(times), 0.0, 0.0)
    return Applied(len(times), statistics.median(times), statistics.quantiles(times, n=100)[98])


class Result(NamedTuple):
    """Of each phase, and of the attack."""

    answers: list[Answers]
    applied: list[Applied]
    attack: Attack
    halted: float

    def faults(self) -> list[str]:
        """Return what may not be, however slow the machine is."""
        found = [f"answer: {each}" for each in self.attack.tally.faults]
        if self.halted:
            found.append("a worker halted")
        for name, phase, result in zip(_PHASES, self.answers, self.applied, strict=True):
            if phase.refused or result.rows != len(phase.seconds):
                found.append(f"{name}: {phase.refused} refused, {result.rows} applied")
        return found

    def slow(self) -> list[str]:
        most = max(FLOOR_SECONDS, SLOWER * self.answers[0].p99)
        return [
            f"{name}: p99 {phase.p99:.3f} s, more than {most:.3f} s"
            for name, phase in zip(_PHASES, self.answers, strict=True)
            if phase.p99 > most
        ]


def run(folder: Path, seconds: float, seed: int) -> Result:
    """Run a fleet with two API keys, the three phases, and wait for all of the steady source."""
    with DisposableFleet(
        folder,
        API_KEYS_FILE=str(folder / "keys.json"),
        MAX_BODY_BYTES=str(LIMIT),
        LOG_LEVEL="WARNING",
    ) as fleet:
        keys = {
            name: fleet.gatekeeper("apikey", "create", name).stdout.split()[-1]
            for name in ("steady", "hostile")
        }
        answers, attack = asyncio.run(measured(fleet, keys, seconds, seed))
        found = [_settled(fleet, phase) for phase in answers]
        return Result(answers, found, attack, fleet.pushed_total("gatekeeper_halted"))


def _settled(fleet: DisposableFleet, phase: Answers) -> Applied:
    def whole() -> bool:
        return applied(fleet, phase).rows >= len(phase.seconds) - phase.refused

    wait_until(whole, APPLIED_SECONDS, "all of the steady source is applied")
    return applied(fleet, phase)


def _report(result: Result, seconds: float) -> int:
    for name, phase, rows in zip(_PHASES, result.answers, result.applied, strict=True):
        sys.stdout.write(
            f"{name:7} {len(phase.seconds):6,} sent, {phase.refused} refused, answers p50"
            f" {statistics.median(phase.seconds) * 1000:6.1f} ms p99 {phase.p99 * 1000:7.1f} ms;"
            f" {rows.rows:6,} applied ({rows.rows / seconds:.1f}/s), after p50"
            f" {rows.p50:.2f} s p99 {rows.p99:.2f} s\n"
        )
    tally = result.attack.tally
    sys.stdout.write(f"hostile: {result.attack.counts}, answers {dict(tally.statuses)}\n")
    faults = [*result.faults(), *result.slow()]
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    return 1 if faults else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steady", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steady is None:
        with tempfile.TemporaryDirectory() as folder:
            return _report(run(Path(folder), options.seconds, options.seed), options.seconds)
    answers = asyncio.run(steady(options.url, options.key, options.seconds, options.steady))
    sys.stdout.write(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
