"""A trial: a fleet of its own, a load, faults that strike meanwhile, and the verdict."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ops.fleet.ports import free_ports
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.pubsub_proxy import PubSubProxy
from ops.runtime.api_keys import mint
from ops.trial import journal as journals
from ops.trial import trial_load as load
from ops.trial.compare import compare
from ops.trial.evidence import Reader, gather, wait_until_settled
from ops.trial.faults import CLOCKED, KINDS, Missed, Strike, Target, schedule
from ops.trial.journal import Journal
from ops.trial.stream import SOURCES, STRICT
from ops.trial.stream_sender import Sender, Tally
from ops.trial.trial_verdict import Verdict

AT_ONCE = 4
"""Faults that overlap at most."""
SETTLE_SECONDS = 60.0
"""Without any progress after the load, the trial waits no longer and counts."""
BATCH_MAX_MESSAGES = 500
"""Smaller batches than usual, in a short trial: more commits for faults to meet."""
LARGEST_BATCH_MESSAGES = 2_000
LEASE_SECONDS = 10, 20
"""Of usual batches and of larger ones. Short, as what a killed worker had comes back only then."""
STRICT_COLUMNS = {"stream": "TEXT", "n": "INTEGER", "must": "INTEGER"}

type Told = Callable[[str, int, int], None]
"""Hears of progress: what is being done, how much of it is, of how much (0: not known)."""


class Plan(NamedTuple):
    """What a trial is to be. `launchers`: program → the words before its module."""

    transactions: int
    faults: int
    seed: int
    kinds: Sequence[str] = tuple(KINDS)
    launchers: Mapping[str, Sequence[str]] = {}
    settle_seconds: float = SETTLE_SECONDS
    batch_max_messages: int | None = None
    """None: what gives the trial some dozens of batches at least."""

    @property
    def batch(self) -> int:
        """The largest batch of the trial's workers."""
        by_size = max(BATCH_MAX_MESSAGES, self.transactions // 50)
        return self.batch_max_messages or min(by_size, LARGEST_BATCH_MESSAGES)

    @property
    def lease_seconds(self) -> int:
        """The leases of the trial's workers: a batch of its size must fit in."""
        usual, larger = LEASE_SECONDS
        return larger if self.batch > BATCH_MAX_MESSAGES else usual


class Struck(NamedTuple):
    """A fault that struck: `at` and `seconds` are of the load's time; `missed` hit nothing."""

    kind: str
    after: int
    at: float
    seconds: float
    what: str
    missed: bool


@dataclass
class Outcome:
    """What a trial came to."""

    plan: Plan
    verdict: Verdict = field(default_factory=Verdict)
    struck: list[Struck] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    tables: int = 0
    rows: int = 0
    load_seconds: float = 0.0
    settle_seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the fleet passed."""
        return self.verdict.clean and not self.tally.surprises


class _Pace:
    """Sets the faults going when they are due, and holds the load back while some wait their turn.

    The load goes on meanwhile, slowly: a fault needs something to strike at.
    """

    def __init__(self, plan: Plan, strike: Callable[[Strike], object]) -> None:
        self._strikes = schedule(plan.transactions, plan.faults, plan.seed, plan.kinds)
        self._strike = strike
        self._waiting = 0
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._pause = 1 / max(20.0, plan.transactions / max(plan.faults, 1))
        self.tasks: list[asyncio.Task[None]] = []

    async def __call__(self) -> None:
        """Wait for the turn of one request."""
        if self._waiting:
            async with self._turn:
                await asyncio.sleep(self._pause)

    def accepted(self, count: int) -> None:
        """Set going what is due after so many accepted transactions."""
        while self._strikes and self._strikes[0].after <= count:
            self._waiting += 1
            self.tasks.append(asyncio.create_task(self._run(self._strikes.pop(0))))

    async def _run(self, strike: Strike) -> None:
        async with self._slots:
            self._waiting -= 1
            await self._strike(strike)  # type: ignore[misc]  # a coroutine


class Trial:
    """One trial in a folder; `run` it once."""

    def __init__(self, plan: Plan, folder: Path, told: Told = lambda *_: None) -> None:
        self._plan = plan
        self._told = told
        self._folder = folder
        self._outcome = Outcome(plan)
        self._started = 0.0
        pubsub, bigquery = free_ports(2)
        proxied = {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub}",
            "BIGQUERY_EMULATOR_HOST": f"127.0.0.1:{bigquery}",
        }
        minted = {source: mint(source, datetime.now(UTC).isoformat()) for source in SOURCES}
        self._keys = {source: text for source, (text, _) in minted.items()}
        self._clocks = {program: folder / f"{program}.clock" for program in CLOCKED}
        keys_file = folder / "keys"
        keys_file.write_text("".join(key.line() for _, key in minted.values()))
        self.fleet = DisposableFleet(
            folder,
            launchers={
                program: [*self._clocked(program), *plan.launchers.get(program, ())]
                for program in {*CLOCKED, *plan.launchers}
            },
            variables={"server": proxied, "worker": proxied},
            API_KEYS_FILE=str(keys_file),
            BATCH_MAX_MESSAGES=str(plan.batch),
            LEASE_SECONDS=str(plan.lease_seconds),
        )
        settings = self.fleet.settings
        self._pubsub = PubSubProxy(
            proxied["PUBSUB_EMULATOR_HOST"], settings.pubsub_emulator_host or ""
        )
        self._bigquery = BigQueryProxy(
            proxied["BIGQUERY_EMULATOR_HOST"], settings.bigquery_emulator_host or ""
        )
        self.journal_file = folder / "journal.jsonl"

    def _clocked(self, program: str) -> list[str]:
        """Return the launcher that moves a program's clock, where the plan has that fault."""
        if f"clock_{program}" not in self._plan.kinds:
            return []
        return ["ops.rig.clock", str(self._clocks[program])]

    async def run(self) -> Outcome:
        """Start the fleet, send the load, strike, wait, compare; nothing outlives this."""
        async with contextlib.AsyncExitStack() as stack:
            for proxy in (self._pubsub, self._bigquery):
                await proxy.start()
                stack.push_async_callback(proxy.stop)
            stack.callback(self._end)  # before the proxies: then nobody calls them
            self._told("starting the fleet", 0, 0)
            await asyncio.to_thread(self.fleet.up)
            with _reader(self.fleet) as reader:
                with Journal(self.journal_file) as journal:
                    await self._send(reader, journal)
                await self._judge(reader)
        return self._outcome

    def _end(self) -> None:
        self._told("stopping the fleet", 0, 0)
        self.fleet.kill()

    async def _send(self, reader: Reader, journal: Journal) -> None:
        plan, tally = self._plan, self._outcome.tally
        streams = load.streams(plan.transactions, plan.seed)
        target = Target(
            fleet=self.fleet,
            pubsub=self._pubsub,
            bigquery=self._bigquery,
            reader=reader,
            journal=journal,
            streams=streams,
            clocks=self._clocks,
            complain=tally.surprises.append,
        )
        async with Sender(self.fleet.address, self._keys, journal, tally) as sender:
            await self._prepare(sender, reader, journal)
            tally.accepted.clear()  # the load begins here
            self._started = time.monotonic()
            pace = _Pace(plan, lambda strike: self._strike(target, strike))

            def progressed() -> None:
                pace.accepted(len(tally.accepted))
                self._told("load", len(tally.accepted), plan.transactions)

            try:
                await sender.run(streams, pace, progressed)
                self._outcome.load_seconds = time.monotonic() - self._started
                self._told("waiting for the last faults", 0, 0)
                await asyncio.gather(*pace.tasks)
            finally:
                for task in pace.tasks:
                    task.cancel()
                await asyncio.gather(*pace.tasks, return_exceptions=True)

    async def _prepare(self, sender: Sender, reader: Reader, journal: Journal) -> None:
        """Make the tables that the streams share, and the one that takes no NULL."""
        columns = "`stream` STRING, `n` INT64, `must` INT64 NOT NULL"
        dataset = self.fleet.settings.dataset_path
        journal.foreign(STRICT, STRICT_COLUMNS, ("must",))
        await reader.execute(f"CREATE TABLE `{dataset}.{STRICT}` ({columns})")
        steps = load.setup(self._plan.seed)
        for step in steps:
            await sender.send(step)
        ids = [journals.id_of(step, 0) for step in steps]
        await wait_until_settled(
            reader, ids, patience=SETTLE_SECONDS, told=lambda *_: self._told("making tables", 0, 0)
        )

    async def _strike(self, target: Target, strike: Strike) -> None:
        chance = random.Random(strike.seed)  # noqa: S311  # a plan, no secret
        at = time.monotonic()
        missed = False
        try:
            what = await KINDS[strike.kind](target, chance)
        except Missed as error:
            what, missed = str(error), True
        now = time.monotonic()
        self._outcome.struck.append(
            Struck(strike.kind, strike.after, at - self._started, now - at, what, missed)
        )
        self._told("faults", len(self._outcome.struck), self._plan.faults)

    async def _judge(self, reader: Reader) -> None:
        history = await asyncio.to_thread(journals.read, self.journal_file)
        accepted = history.accepted()
        started = time.monotonic()

        def told(settled: int, waiting: int) -> None:
            self._told(f"settled ({waiting:,} in the subscription)", settled, len(ids))

        # As they were sent, more or less: those at the front are settled first.
        in_order = sorted(accepted.items(), key=lambda item: item[1].number)
        ids = list(dict.fromkeys(key[0] for key, _ in in_order))
        await wait_until_settled(reader, ids, patience=self._plan.settle_seconds, told=told)
        self._outcome.settle_seconds = time.monotonic() - started
        evidence = await gather(
            reader, history, with_letters=True, told=lambda what: self._told(what, 0, 0)
        )
        self._told("comparing", 0, 0)
        self._outcome.verdict = await asyncio.to_thread(compare, history, evidence)
        self._outcome.tables = len(evidence.types)
        self._outcome.rows = sum(map(len, evidence.rows.values()))


@contextlib.contextmanager
def _reader(fleet: DisposableFleet) -> Iterator[Reader]:
    reader = Reader(fleet.settings)
    try:
        yield reader
    finally:
        reader.close()
