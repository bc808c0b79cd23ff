"""A trial: disposable machines, a load, faults during the load, and the audit of the result."""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ops.rig import Service, free_port
from ops.rig.strict_bigquery import read_report
from ops.runtime.api_keys import mint
from ops.trial import journal as journals
from ops.trial import load_plan, machines
from ops.trial.audit_report import AuditReport
from ops.trial.backlog_watch import BacklogWatch
from ops.trial.client_stream import SOURCES, STRICT
from ops.trial.compare import compare
from ops.trial.fault_kinds import CLOCKED, KINDS, ON_SERVICES
from ops.trial.fault_schedule import FaultSchedule, LoadPace, PlannedFault, schedule
from ops.trial.fault_target import FaultTarget, NothingHit
from ops.trial.fleet_reader import FleetReader, gather, wait_until_settled
from ops.trial.journal import Journal
from ops.trial.stream_sender import LoadCounts, StreamSender
from ops.trial.trial_scale import TrialScale

SETTLE_SECONDS = 180.0
"""Without any progress for so long after the load, the trial stops waiting."""
QUIET_SECONDS = 20.0
"""How long a fault waits for something to hit, on all machines together."""
STRICT_COLUMNS = {"stream": "TEXT", "n": "INTEGER", "must": "INTEGER"}

type OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much (0: unknown)."""


def mint_keys(file: Path) -> dict[str, str]:
    """Write the servers' API keys to a new file; return those of the clients, by source."""
    keys = {}
    with file.open("w") as lines:
        for source in SOURCES:
            keys[source], key = mint(source, datetime.now(UTC).isoformat())
            lines.write(key.line())
    return keys


async def make_tables(sender: StreamSender, reader: FleetReader, dataset: str, seed: int) -> None:
    """Make the tables that the streams share, and the one with a required column."""
    columns = "`stream` STRING, `n` INT64, `must` INT64 NOT NULL"
    sender.journal.foreign(STRICT, STRICT_COLUMNS, ("must",))
    await reader.execute(f"CREATE TABLE `{dataset}.{STRICT}` ({columns})")
    steps = load_plan.setup(seed)
    for step in steps:
        await sender.send(step)
    ids = [sender.journal.id_of(step, 0) for step in steps]
    await wait_until_settled(reader, ids, patience=SETTLE_SECONDS, on_progress=lambda *_: None)


class TrialPlan(NamedTuple):
    """The size and kind of a trial. `launchers`: program → the words before its module."""

    transactions: int
    faults: int
    seed: int
    kinds: Sequence[str] = tuple(KINDS)
    launchers: Mapping[str, Sequence[str]] = {}
    machines: int = 1
    settle_seconds: float = SETTLE_SECONDS
    scale: TrialScale = TrialScale.of(0)
    strict: Sequence[str] | None = None
    """The options of the strict BigQuery between the workers and the embedded one, next to those of
    `scale`; None: without. See `ops.rig.strict_bigquery.__main__`."""


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
    strict: dict[str, Any] = field(default_factory=dict)
    """The report of the strict BigQuery, where the trial has one."""

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
        self._keys = mint_keys(folder / "keys")
        self._journal_file = folder / "journal.jsonl"
        self._strict = "" if plan.strict is None else f"127.0.0.1:{free_port()}"
        self.machines = machines.build(
            folder,
            machines.MachinePlan(
                plan.machines,
                plan.launchers,
                [program for program in CLOCKED if f"clock_{program}" in plan.kinds],
                self._strict,
            ),
            {
                "API_KEYS_FILE": str(folder / "keys"),
                **plan.scale.settings,
            },
        )
        self._settings = self.machines[0].fleet.settings

    async def run(self) -> TrialResult:
        """Start the machines, send the load, inject the faults, wait, compare; end everything."""
        async with contextlib.AsyncExitStack() as stack:
            if self._strict:
                strict = stack.enter_context(self._strict_service())
                strict.wait_for_port(self._strict)
            for machine in self.machines:
                for proxy in (machine.pubsub, machine.bigquery):
                    await proxy.start()
                    stack.push_async_callback(proxy.stop)
            stack.callback(self._end)  # before the proxies, so that nobody calls them any more
            for machine in self.machines:
                self._on_progress(f"starting {machine.name}", 0, 0)
                await asyncio.to_thread(machine.fleet.up)
            reader = stack.enter_context(contextlib.closing(FleetReader(self._settings)))
            with Journal(self._journal_file, self._settings.lanes) as journal:
                await self._send(reader, journal)
            await self._audit(reader)
            if self._strict:
                self._result.strict = await asyncio.to_thread(read_report, self._strict)
        return self._result

    def _strict_service(self) -> Service:
        upstream = self._settings.bigquery_emulator_host or ""
        options = *self._plan.scale.strict_options, *(self._plan.strict or ())
        words = "--upstream", upstream, *options
        return Service.module("ops.rig.strict_bigquery", self._strict, *words)

    def _end(self) -> None:
        self._on_progress("stopping the machines", 0, 0)
        for machine in reversed(self.machines):
            machine.fleet.kill()

    async def _send(self, reader: FleetReader, journal: Journal) -> None:
        plan, counts = self._plan, self._result.load
        streams = load_plan.streams(plan.transactions, plan.seed)
        targets = [
            FaultTarget(
                *(machine, reader, journal, streams, counts.surprises.append),
                quiet_seconds=QUIET_SECONDS / len(self.machines),
            )
            for machine in self.machines
        ]
        addresses = [machine.fleet.address for machine in self.machines]
        async with StreamSender(addresses, self._keys, journal, counts) as sender:
            self._on_progress("making tables", 0, 0)
            await make_tables(sender, reader, self._settings.dataset_path, plan.seed)
            counts.accepted.clear()  # the load begins here
            self._started = time.monotonic()
            planned = schedule(plan.transactions, plan.faults, plan.seed, plan.kinds)
            rate = plan.transactions / max(plan.faults, 1)
            inject = functools.partial(self._inject, targets)
            watch = BacklogWatch(reader, plan.scale.backlog)
            pacing = LoadPace(rate, lambda: watch.is_behind)
            async with watch.running(), FaultSchedule(planned, pacing, inject) as faults:

                def on_progress() -> None:
                    faults.start_due(len(counts.accepted))
                    self._on_progress("load", len(counts.accepted), plan.transactions)

                await sender.run(streams, faults.pace, on_progress)
                self._result.load_seconds = time.monotonic() - self._started
                self._on_progress("waiting for the last faults", 0, 0)

    async def _inject(self, targets: Sequence[FaultTarget], fault: PlannedFault) -> None:
        chance = random.Random(fault.seed)  # noqa: S311  # a plan, no secret
        some = targets[:1] if fault.kind in ON_SERVICES else chance.sample(targets, len(targets))
        began = time.monotonic()
        missed = True
        for target in some:  # another machine, when one has nothing to hit
            try:
                what = await KINDS[fault.kind](target, chance)
                missed = False
            except NothingHit as error:
                what = str(error)
            if len(targets) > 1:
                what = f"{target.machine.name}: {what}"
            if not missed:
                break
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
