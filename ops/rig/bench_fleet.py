"""The whole fleet under a supervisord of its own: as committed, but for ports and folders."""

import contextlib
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

from ops.rig import backlog_reader as waiting
from ops.rig.processes import RunFailed, Running, wait_until
from ops.rig.transaction_mix import TransactionMix
from ops.rig.trial_fleet import NotRunning, TrialFleet
from ops.runtime.supervisord import State

type Buckets = dict[float, float]


class Settled(NamedTuple):
    """What the fleet has told the Pushgateway so far; totals over all processes."""

    accepted: float
    published: float
    applied: float
    faults: Mapping[str, float]
    """Counters that must stay at 0, those that do not, by name."""
    end_to_end: Buckets
    """Cumulative: upper bound in seconds → transactions."""
    pushed_at: float
    """When the worker pushed that has not for longest; Unix seconds."""


_FAULTS = (
    "gatekeeper_publish_failures_total",
    "gatekeeper_dead_lettered_total",
    "gatekeeper_leases_lost_total",
    "gatekeeper_stream_failures_total",
    "gatekeeper_unknown_outcomes_total",
    "invalid_payload_count_total",
)


class Fleet:
    """`with Fleet() as fleet:` runs supervisord.conf, every setting at its default."""

    def __init__(self) -> None:
        self._exits = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="gatekeeper-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._exits.enter_context(folder))
        # An empty setting is one at its default.
        self._fleet = TrialFleet(self.folder, BATCH_MAX_SECONDS="", LEASE_SECONDS="")
        self.settings = self._fleet.settings
        self.address = self._fleet.address
        self._supervisord = self._fleet.supervisord
        self._born: dict[str, int] = {}
        self._excused: Mapping[str, float] = {}

    def __enter__(self) -> Self:
        """Bring it up."""
        with contextlib.ExitStack() as undo:
            undo.push(self.__exit__)
            try:
                self._fleet.start()
            except NotRunning as error:
                raise RunFailed(str(error)) from error
            self._remember()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Bring it down, whatever was the matter."""
        try:
            if kind is None:
                self._fleet.command(sys.executable, "-m", "ops.fleet.down")
            elif isinstance(error, RunFailed):
                sys.stderr.write(f"the end of the fleet's logs:\n{self._fleet.logs()}\n")
        except NotRunning as failure:
            raise RunFailed(str(failure)) from failure
        finally:
            self._fleet.kill()
            self._exits.close()

    def _working(self) -> list[State]:
        return [state for state in self._fleet.states() if state.group in {"server", "worker"}]

    def check(self) -> None:
        """Raise RunFailed when a server or a worker is not the process that was started last."""
        now = {state.name: state for state in self._working()}
        for name, pid in self._born.items():
            state = now[name]
            if state.state != "RUNNING" or state.pid != pid:
                raise RunFailed(f"{name} was restarted or has ended: {state.description}")

    def stop_workers(self) -> None:
        """Drain and stop the workers."""
        wait = True
        self._supervisord.call("supervisor.stopProcessGroup", "worker", wait)
        self._remember()

    def start_workers(self) -> None:
        """Start the workers again."""
        wait = True
        self._supervisord.call("supervisor.startProcessGroup", "worker", wait)
        self._remember()

    def _remember(self) -> None:
        self._born = {each.name: each.pid for each in self._working() if each.state == "RUNNING"}

    def post(self, payload: object) -> None:
        """Send one transaction; raises RunFailed when it is not accepted."""
        request = urllib.request.Request(  # our own server
            f"http://{self.address}/api/activities",
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
        except OSError as error:
            raise RunFailed(f"the fleet does not accept a transaction: {error}") from error

    def make_tables(self) -> None:
        """Insert a row into every table of the load, so that deletes have something to act on."""
        mix = TransactionMix()
        for table in mix.tables:
            self.post({"activities": [mix.insert(table)]})
        self.drained()
        # Before the services were up and provisioned, a worker's stream may well have failed.
        self._excused = self._told(len(mix.tables)).faults

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each running process has used so far."""
        return {
            state.name: Running(state.pid).cpu_seconds()
            for state in self._fleet.states()
            if state.state == "RUNNING"
        }

    def backlog(self) -> int:
        """Return how many transactions are not applied yet."""
        return waiting.count(self.settings)

    def purge(self) -> None:
        """Settle whatever waits in the subscription."""
        waiting.purge(self.settings)

    def drained(self, seconds: float = 120.0) -> None:
        """Return when everything is applied."""
        waiting.drained(self.settings, seconds, self.check)

    def settled(self) -> Settled:
        """Return what the processes last pushed."""
        gateway = self.settings.pushgateway_prometheus_host
        with urllib.request.urlopen(f"http://{gateway}/metrics", timeout=10) as answer:
            return read_settled(answer.read().decode())

    def current(self) -> Settled:
        """Return what is told once every worker has pushed anew."""
        asked_at = time.time()
        return self._once(lambda now: now.pushed_at > asked_at, "every worker pushes its metrics")

    def fresh(self, applied: float) -> Settled:
        """Return what was pushed once so many are told as applied; raises RunFailed for a fault."""
        found = self._told(applied)
        if faults := new_faults(found.faults, self._excused):
            raise RunFailed(f"the fleet counted faults: {faults}")
        self.check()
        return found

    def _told(self, applied: float) -> Settled:
        what = f"{applied:,.0f} transactions are told as applied"
        return self._once(lambda now: now.applied >= applied, what)

    def _once(self, ready: Callable[[Settled], bool], what: str) -> Settled:
        def told() -> Settled | None:
            now = self.settled()
            return now if ready(now) else None

        found = wait_until(told, 20.0, what)
        assert found is not None  # noqa: S101  # wait_until has seen to it
        return found


def read_settled(text: str) -> Settled:
    """Read the Pushgateway's page."""
    totals: dict[str, float] = {}
    buckets: Buckets = {}
    pushes: list[float] = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "gatekeeper_end_to_end_seconds_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
            elif sample.name == "push_time_seconds" and sample.labels["job"] == "gatekeeper_worker":
                pushes.append(sample.value)
            else:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return Settled(
        accepted=totals.get("valid_payload_count_total", 0.0),
        published=totals.get("gatekeeper_published_total", 0.0),
        applied=totals.get("gatekeeper_applied_total", 0.0),
        faults={name: totals[name] for name in _FAULTS if totals.get(name)},
        end_to_end=buckets,
        pushed_at=min(pushes, default=0.0),
    )


def new_faults(now: Mapping[str, float], excused: Mapping[str, float]) -> dict[str, float]:
    """Return the counters that are not what they were; a restarted process counts anew."""
    return {
        name: count - excused.get(name, 0.0) if count >= excused.get(name, 0.0) else count
        for name, count in now.items()
        if count != excused.get(name, 0.0)
    }


def since(later: Buckets, earlier: Buckets) -> Buckets:
    """Return what came into a histogram between two looks."""
    return {bound: count - earlier.get(bound, 0.0) for bound, count in later.items()}
