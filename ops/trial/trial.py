"""A trial: a disposable fleet, a load, faults during the load, and the audit of the result."""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable, Mapping, Sequence
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
from ops.trial import load_plan
from ops.trial.audit_report import AuditReport
from ops.trial.client_stream import SOURCES, STRICT
from ops.trial.compare import compare
from ops.trial.fault_kinds import CLOCKED, KINDS, FaultTarget, NothingHit
from ops.trial.fault_schedule import FaultSchedule, PlannedFault, schedule
from ops.trial.fleet_reader import FleetReader, gather, wait_until_settled
from ops.trial.journal import Journal
from ops.trial.stream_sender import LoadCounts, StreamSender

SETTLE_SECONDS = 60.0
"""Without any progress for so long after the load, the trial stops waiting."""
BATCH_MAX_MESSAGES = 500
"""Smaller batches than usual: more commits in a short trial for faults to hit."""
LARGEST_BATCH_MESSAGES = 2_000
LEASE_SECONDS = 10, 20
"""Of usual and of larger batches. Short: a killed worker's messages come back only afterwards."""
SLOW_RATE = 20.0
"""Requests a second at least, while faults are queued."""
STRICT_COLUMNS = {"stream": "TEXT", "n": "INTEGER", "must": "INTEGER"}

type OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much (0: unknown)."""


class TrialPlan(NamedTuple):
    """The size and kind of a trial. `launchers`: program → the words before its module."""

    transactions: int
    faults: int
    seed: int
    kinds: Sequence[str] = tuple(KINDS)
    launchers: Mapping[str, Sequence[str]] = {}
    settle_seconds: float = SETTLE_SECONDS
    batch_max_messages: int | None = None
    """None: small enough for some dozens of batches."""

    @property
    def batch(self) -> int:
        """The largest batch of the trial's workers."""
        by_size = max(BATCH_MAX_MESSAGES, self.transactions // 50)
        return self.batch_max_messages or min(by_size, LARGEST_BATCH_MESSAGES)

    @property
    def lease_seconds(self) -> int:
        """The leases of the trial's workers, long enough for a batch."""
        usual, larger = LEASE_SECONDS
        return larger if self.batch > BATCH_MAX_MESSAGES else usual


class InjectedFault(NamedTuple):
    """A fault that was injected: `at` and `seconds` are of the load; `missed`: it hit nothing."""

    kind: str
    after: int
    at: float
    seconds: float
    what: str
    missed: bool


@dataclass
class TrialResult:
    """The result of a trial."""

    plan: TrialPlan
    report: AuditReport = field(default_factory=AuditReport)
    faults: list[InjectedFault] = field(default_factory=list)
    load: LoadCounts = field(default_factory=LoadCounts)
    tables: int = 0
    rows: int = 0
    load_seconds: float = 0.0
    settle_seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the fleet passed."""
        return self.report.clean and not self.load.surprises


class Trial:
    """One trial in a folder; `run` it once."""

    def __init__(
        self, plan: TrialPlan, folder: Path, on_progress: OnProgress = lambda *_: None
    ) -> None:
        self._plan = plan
        self._on_progress = on_progress
        self._result = TrialResult(plan)
        self._started = 0.0
        self._keys: dict[str, str] = {}
        self._clocks = {program: folder / f"{program}.clock" for program in CLOCKED}
        self._journal_file = folder / "journal.jsonl"
        pubsub, bigquery = (f"127.0.0.1:{port}" for port in free_ports(2))
        proxies = {"PUBSUB_EMULATOR_HOST": pubsub, "BIGQUERY_EMULATOR_HOST": bigquery}
        self.fleet = DisposableFleet(
            folder,
            launchers={
                program: [*self._clock_launcher(program), *plan.launchers.get(program, ())]
                for program in {*CLOCKED, *plan.launchers}
            },
            variables={"server": proxies, "worker": proxies},
            API_KEYS_FILE=str(self._mint_keys(folder / "keys")),
            BATCH_MAX_MESSAGES=str(plan.batch),
            LEASE_SECONDS=str(plan.lease_seconds),
        )
        settings = self.fleet.settings
        self._pubsub = PubSubProxy(pubsub, settings.pubsub_emulator_host or "")
        self._bigquery = BigQueryProxy(bigquery, settings.bigquery_emulator_host or "")

    def _clock_launcher(self, program: str) -> list[str]:
        """Return the launcher that moves a program's clock, if the plan has that fault."""
        if f"clock_{program}" not in self._plan.kinds:
            return []
        return ["ops.rig.clock", str(self._clocks[program])]

    def _mint_keys(self, file: Path) -> Path:
        """Write the servers' API keys; keep those of the clients."""
        with file.open("w") as lines:
            for source in SOURCES:
                self._keys[source], key = mint(source, datetime.now(UTC).isoformat())
                lines.write(key.line())
        return file

    async def run(self) -> TrialResult:
        """Start the fleet, send the load, inject the faults, wait, compare; end everything."""
        async with contextlib.AsyncExitStack() as stack:
            for proxy in (self._pubsub, self._bigquery):
                await proxy.start()
                stack.push_async_callback(proxy.stop)
            stack.callback(self._end)  # before the proxies, so that nobody calls them any more
            self._on_progress("starting the fleet", 0, 0)
            await asyncio.to_thread(self.fleet.up)
            reader = stack.enter_context(contextlib.closing(FleetReader(self.fleet.settings)))
            with Journal(self._journal_file) as journal:
                await self._send(reader, journal)
            await self._audit(reader)
        return self._result

    def _end(self) -> None:
        self._on_progress("stopping the fleet", 0, 0)
        self.fleet.kill()

    async def _send(self, reader: FleetReader, journal: Journal) -> None:
        plan, counts = self._plan, self._result.load
        streams = load_plan.streams(plan.transactions, plan.seed)
        target = FaultTarget(
            fleet=self.fleet,
            pubsub=self._pubsub,
            bigquery=self._bigquery,
            reader=reader,
            journal=journal,
            streams=streams,
            clocks=self._clocks,
            on_surprise=counts.surprises.append,
        )
        async with StreamSender(self.fleet.address, self._keys, journal, counts) as sender:
            await self._prepare(sender, reader, journal)
            counts.accepted.clear()  # the load begins here
            self._started = time.monotonic()
            planned = schedule(plan.transactions, plan.faults, plan.seed, plan.kinds)
            pause = 1 / max(SLOW_RATE, plan.transactions / max(plan.faults, 1))
            inject = functools.partial(self._inject, target)
            async with FaultSchedule(planned, pause, inject) as faults:

                def on_progress() -> None:
                    faults.start_due(len(counts.accepted))
                    self._on_progress("load", len(counts.accepted), plan.transactions)

                await sender.run(streams, faults.pace, on_progress)
                self._result.load_seconds = time.monotonic() - self._started
                self._on_progress("waiting for the last faults", 0, 0)

    async def _prepare(self, sender: StreamSender, reader: FleetReader, journal: Journal) -> None:
        """Make the tables that the streams share, and the one with a required column."""
        columns = "`stream` STRING, `n` INT64, `must` INT64 NOT NULL"
        journal.foreign(STRICT, STRICT_COLUMNS, ("must",))
        path = f"{self.fleet.settings.dataset_path}.{STRICT}"
        await reader.execute(f"CREATE TABLE `{path}` ({columns})")
        steps = load_plan.setup(self._plan.seed)
        for step in steps:
            await sender.send(step)
        await wait_until_settled(
            reader,
            [journals.id_of(step, 0) for step in steps],
            patience=SETTLE_SECONDS,
            on_progress=lambda *_: self._on_progress("making tables", 0, 0),
        )

    async def _inject(self, target: FaultTarget, fault: PlannedFault) -> None:
        chance = random.Random(fault.seed)  # noqa: S311  # a plan, no secret
        began = time.monotonic()
        missed = False
        try:
            what = await KINDS[fault.kind](target, chance)
        except NothingHit as error:
            what, missed = str(error), True
        at, seconds = began - self._started, time.monotonic() - began
        injected = InjectedFault(fault.kind, fault.after, at, seconds, what, missed)
        self._result.faults.append(injected)
        self._on_progress("faults", len(self._result.faults), self._plan.faults)

    async def _audit(self, reader: FleetReader) -> None:
        history = await asyncio.to_thread(journals.read, self._journal_file)
        started = time.monotonic()
        # Roughly in the order of sending: the first ones are settled first.
        accepted = sorted(history.accepted().values(), key=lambda sent: sent.number)
        ids = list(dict.fromkeys(sent.id for sent in accepted))

        def on_progress(settled: int, backlog: int) -> None:
            self._on_progress(f"settled ({backlog:,} in the subscription)", settled, len(ids))

        await wait_until_settled(
            reader, ids, patience=self._plan.settle_seconds, on_progress=on_progress
        )
        self._result.settle_seconds = time.monotonic() - started
        evidence = await gather(
            reader, history, with_letters=True, on_progress=lambda at: self._on_progress(at, 0, 0)
        )
        self._on_progress("comparing", 0, 0)
        self._result.report = await asyncio.to_thread(compare, history, evidence)
        self._result.tables = len(evidence.types)
        self._result.rows = sum(map(len, evidence.rows.values()))
