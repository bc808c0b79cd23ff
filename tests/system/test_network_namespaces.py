"""Three machines with an address each: one loses its power, another one its network.

`pytest -rP tests/system/test_network_namespaces.py` prints the figures in docs/deploy.md.
"""

import asyncio
import contextlib
import functools
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.rig import eventually
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.environment import Environment
from ops.runtime import local_secret
from ops.trial import journal as journals
from ops.trial import load_plan
from ops.trial.audit_report import DEFECTS
from ops.trial.compare import compare
from ops.trial.fleet_reader import FleetReader, gather, wait_until_settled
from ops.trial.journal import Journal
from ops.trial.stream_sender import LoadCounts, StreamSender
from ops.trial.trial import make_tables, mint_keys
from tests.support.network_namespaces import NamespacesUnavailable, PrivateNetwork

pytestmark = pytest.mark.timeout(1_800)  # six minutes on two cores that are busy otherwise

WEB, MIXED, WORK = "web-1", "mixed-1", "work-1"
PROCESSES = {WEB: (2, 0), MIXED: (1, 1), WORK: (0, 2)}
"""Servers and workers."""
SERVING = WEB, MIXED
TRANSACTIONS = 50_000
"""More than are sent: the load ends when the machines are whole again."""
RATE = 8.0
"""Requests a second, of all clients together."""
STATUS_PAUSE_SECONDS = 1.0
"""Before each look at a machine's status, which takes a second of a core."""
SEED = 1
PARTITION_SECONDS = 60.0
SETTLE_SECONDS = 60.0
PATIENCE_SECONDS = 300.0
SHARED: dict[str, Any] = {"LANES": "8", "LEASE_SECONDS": "10"}
ADDRESSES = "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST"


class Machines:
    """The embedded services on the host, and a supervisord in each namespace."""

    def __init__(self, folder: Path, network: PrivateNetwork, services: Environment) -> None:
        self.network, self.services = network, services
        self.keys = mint_keys(folder / "keys")
        self.fleets = {name: self._machine(folder / name) for name in PROCESSES}

    def _machine(self, folder: Path) -> DisposableFleet:
        name = folder.name
        servers, workers = map(str, PROCESSES[name])
        addresses: dict[str, Any] = {each: self.services.variables[each] for each in ADDRESSES}
        self.network.add(name)
        state = folder / "state"
        state.mkdir(parents=True)
        shutil.copy(self.services.settings.state_dir / local_secret.BIGQUERY_FILE, state)
        return DisposableFleet(
            folder,
            address=f"{self.network.address(name)}:8080",
            within=self.network.within(name),
            INSTANCE=name,
            SERVERS=servers,
            WORKERS=workers,
            LOCAL="0",
            API_KEYS_FILE=str(folder.parent / "keys"),
            METRICS_PUSH_SECONDS="1",
            **addresses,
            **SHARED,
        )

    async def up(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(each.up) for each in self.fleets.values()))

    async def status(self, name: str) -> dict[str, Any]:
        """Return what `gatekeeper status` of a machine prints, run in its namespace."""
        command = self.fleets[name].gatekeeper
        done = await asyncio.to_thread(command, "status", "--json", check=False)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if found["healthy"] else 1)
        return found

    async def wait_until_shown(self, silent: set[str], *names: str) -> float:
        """Wait until each of these machines shows that these processes are silent, and no more.

        Returns the seconds of the slowest.
        """
        started = time.monotonic()

        async def shown(name: str) -> bool:
            await asyncio.sleep(STATUS_PAUSE_SECONDS)
            found = await self.status(name)
            processes = found["processes"]
            wrong = {each["name"]: each["state"] for each in processes if not each["healthy"]}
            expected = dict.fromkeys(silent, "silent: killed, hung or cut off")
            return wrong == expected and not found["errors"] and machines_of(found) == {*PROCESSES}

        what = f"{names} show {silent or 'that all is well'}"
        for name in names:
            await eventually(functools.partial(shown, name), PATIENCE_SECONDS, what)
        return time.monotonic() - started

    async def wait_until_well(self) -> float:
        return await self.wait_until_shown(set(), *PROCESSES)


def machines_of(status: dict[str, Any]) -> set[str]:
    """Return the machines whose servers and workers a status names."""
    names = (each["name"].partition(":") for each in status["processes"])
    return {machine for machine, _, name in names if name.startswith(("server_", "worker_"))}


def processes_of(name: str) -> set[str]:
    servers, workers = PROCESSES[name]
    return {f"{name}:server_{number:02d}" for number in range(servers)} | {
        f"{name}:worker_{number:02d}" for number in range(workers)
    }


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with contextlib.ExitStack() as stack:
        try:
            network = stack.enter_context(PrivateNetwork())
        except NamespacesUnavailable as reason:
            pytest.skip(str(reason))
        ports = zip(ADDRESSES, (8085, 9050, 9091), strict=True)
        addresses = {name: f"{network.host}:{port}" for name, port in ports}
        services = stack.enter_context(Environment(**addresses, **SHARED))
        services.pubsub()
        services.bigquery()
        services.pushgateway()
        running = Machines(tmp_path, network, services)
        for fleet in running.fleets.values():
            stack.callback(fleet.kill)
        try:
            yield running
        except BaseException:
            sys.stderr.writelines(fleet.logs() for fleet in running.fleets.values())
            raise


class SteadyLoad:
    """The streams of a trial, half of them sent to each machine with servers."""

    def __init__(self, machines: Machines, journal: Journal) -> None:
        self.counts = {name: LoadCounts() for name in SERVING}
        self.senders = {
            name: StreamSender(
                [machines.fleets[name].address], machines.keys, journal, self.counts[name]
            )
            for name in SERVING
        }
        self._turn = asyncio.Lock()

    async def _pace(self) -> None:
        async with self._turn:
            await asyncio.sleep(1 / RATE)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send during the block; return when all is answered."""
        streams = load_plan.streams(TRANSACTIONS, SEED)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(sender.run(streams[half::2], self._pace, lambda: None))
                for half, sender in enumerate(self.senders.values())
            ]
            yield
            assert not any(task.done() for task in tasks), "the load was over before the faults"
            for stream in streams:
                stream.transactions = 0

    def failed(self, name: str) -> Counter[str]:
        """Return how often each error made a client of a machine try a request again."""
        return Counter(self.counts[name].errors)


async def lose_power(machines: Machines, load: SteadyLoad, figures: dict[str, Any]) -> None:
    """Kill every process of a machine that is off the network by then; start it again later."""
    before = load.failed(MIXED)
    machines.network.cut(MIXED)
    await asyncio.to_thread(machines.fleets[MIXED].lose)
    lost = processes_of(MIXED)
    figures["dead_shown_after"] = await machines.wait_until_shown(lost, WEB, WORK)
    assert "no supervisord" in " ".join((await machines.status(MIXED))["errors"])
    machines.network.heal(MIXED)
    started = time.monotonic()
    await asyncio.to_thread(machines.fleets[MIXED].up)
    await machines.wait_until_well()
    figures["dead_well_after_start"] = time.monotonic() - started
    failed = load.failed(MIXED) - before
    figures["failed_requests_of_the_dead_machine"] = failed
    assert failed, "nothing was sent to it"


async def sees_only_itself(machines: Machines) -> bool:
    """Whether the machine without a network shows its own processes, and what it cannot reach."""
    own = await machines.status(WORK)
    running = {each["name"] for each in own["processes"] if each["state"] == "running"}
    sources = {each.partition(":")[0] for each in own["errors"]}
    return running >= processes_of(WORK) and sources == {"pushed", "backlog", "dead letters"}


async def lose_network(machines: Machines, load: SteadyLoad, figures: dict[str, Any]) -> None:
    """Partition a machine for a minute; what it does meanwhile must have no second effect."""
    before = {name: load.failed(name) for name in SERVING}
    began = time.monotonic()
    machines.network.cut(WORK)
    figures["cut_shown_after"] = await machines.wait_until_shown(processes_of(WORK), WEB, MIXED)
    await eventually(lambda: sees_only_itself(machines), what=f"{WORK} shows only itself")
    await asyncio.sleep(max(0.0, began + PARTITION_SECONDS - time.monotonic()))
    machines.network.heal(WORK)
    figures["cut_for"] = time.monotonic() - began
    figures["cut_well_after"] = await machines.wait_until_well()
    assert {name: load.failed(name) for name in SERVING} == before


async def test_a_dead_machine_and_one_that_is_cut_off_lose_and_duplicate_nothing(
    machines: Machines, tmp_path: Path
) -> None:
    settings = machines.services.settings
    figures: dict[str, Any] = {}
    started = time.monotonic()
    await machines.up()
    figures["up_after"] = time.monotonic() - started
    with contextlib.closing(FleetReader(settings)) as reader:
        with Journal(tmp_path / "journal.jsonl", settings.lanes) as journal:
            load = SteadyLoad(machines, journal)
            async with load.senders[WEB] as first, load.senders[MIXED]:
                await make_tables(first, reader, settings.dataset_path, SEED)
                figures["well_after"] = await machines.wait_until_well()
                async with load.running():
                    await lose_power(machines, load, figures)
                    await lose_network(machines, load, figures)
        history = await asyncio.to_thread(journals.read, tmp_path / "journal.jsonl")
        ids = [sent.id for sent in history.accepted().values()]
        await wait_until_settled(reader, ids, patience=SETTLE_SECONDS, on_progress=lambda *_: None)
        evidence = await gather(reader, history, with_letters=True, on_progress=lambda _: None)
    report = await asyncio.to_thread(compare, history, evidence)
    await machines.wait_until_well()
    figures |= report.counts() | {
        "seconds": time.monotonic() - started,
        "failed_requests": {name: load.failed(name) for name in SERVING},
        "slowest_answer": {name: load.counts[name].slowest_seconds for name in SERVING},
    }
    print(json.dumps(figures, indent=1))  # noqa: T201  # shown by -rP
    assert load.failed(WEB) == Counter()
    assert [each for counts in load.counts.values() for each in counts.surprises] == []
    assert report.clean, report.findings
    assert [report.counts()[defect] for defect in DEFECTS] == [0, 0, 0, 0]
