"""The whole fleet under a supervisord of its own, and the totals that its processes push."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ops.rig import RunFailed, cpu_seconds, wait_until
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.transaction_mix import TransactionMix
from ops.runtime.pushed_metrics import Buckets, PushedGroup, add_buckets

ACCEPTED = 200


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
_END_TO_END = "gatekeeper_end_to_end_seconds_bucket"
METRICS = (
    *_FAULTS,
    _END_TO_END,
    "valid_payload_count_total",
    "gatekeeper_published_total",
    "gatekeeper_applied_total",
)


class MeasuredFleet(DisposableFleet):
    """`with MeasuredFleet() as fleet:` runs supervisord.conf, every setting at its default."""

    def __init__(self) -> None:
        self._exits = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="gatekeeper-bench-", ignore_cleanup_errors=True)
        # An empty setting has its default.
        super().__init__(
            Path(self._exits.enter_context(folder)), BATCH_MAX_SECONDS="", LEASE_SECONDS=""
        )
        self._started: dict[str, int] = {}
        self._excused: Mapping[str, float] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        self._remember()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, RunFailed):
            sys.stderr.write(f"the end of the fleet's logs:\n{self.logs()}\n")
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._exits.close()

    def check(self) -> None:
        """Raise RunFailed when a server or a worker is not the process that was started last."""
        now = {state.name: state for state in self.states("server", "worker")}
        for name, pid in self._started.items():
            state = now[name]
            if state.state != "RUNNING" or state.pid != pid:
                raise RunFailed(f"{name} was restarted or has ended: {state.description}")

    def stop_workers(self) -> None:
        """Drain and stop the workers."""
        wait = True
        self.supervisord.call("supervisor.stopProcessGroup", "worker", wait)
        self._remember()

    def start_workers(self) -> None:
        wait = True
        self.supervisord.call("supervisor.startProcessGroup", "worker", wait)
        self._remember()

    def _remember(self) -> None:
        states = self.states("server", "worker")
        self._started = {each.name: each.pid for each in states if each.state == "RUNNING"}

    def make_tables(self) -> None:
        """Insert a row into every table of the load, so that deletes have something to act on."""
        mix = TransactionMix()
        for table in mix.tables:
            status, verdict = self.post({"activities": [mix.insert(table)]})
            if status != ACCEPTED:
                raise RunFailed(f"the fleet does not accept a transaction: {verdict}")
        self.drained()
        # Before the services were up and provisioned, a worker's stream may well have failed.
        self._excused = self._applied(len(mix.tables)).faults

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each running process has used so far."""
        running = (state for state in self.states() if state.state == "RUNNING")
        return {state.name: cpu_seconds(state.pid) for state in running}

    def drained(self, seconds: float = 120.0) -> None:
        """Return when everything is applied."""
        self.wait_until_drained(seconds, self.check)

    def settled(self) -> Settled:
        """Return what the processes last pushed."""
        return add_up(self.pushed(*METRICS))

    def current(self) -> Settled:
        """Return the totals after every worker has pushed again."""
        asked_at = time.time()
        return self._once(lambda now: now.pushed_at > asked_at, "every worker pushes its metrics")

    def fresh(self, applied: float) -> Settled:
        """Return the totals with `applied` transactions in them; raises RunFailed for a fault."""
        found = self._applied(applied)
        if faults := new_faults(found.faults, self._excused):
            raise RunFailed(f"the fleet counted faults: {faults}")
        self.check()
        return found

    def _applied(self, count: float) -> Settled:
        return self._once(lambda now: now.applied >= count, f"{count:,.0f} transactions applied")

    def _once(self, ready: Callable[[Settled], bool], what: str) -> Settled:
        def found() -> list[Settled]:
            now = self.settled()
            return [now] if ready(now) else []

        return wait_until(found, 20.0, what)[0]


def add_up(groups: Collection[PushedGroup]) -> Settled:
    """Add up what all processes pushed."""

    def total(name: str) -> float:
        return sum(group.total(name) for group in groups)

    workers = [group.pushed_at for group in groups if group.job == "gatekeeper_worker"]
    return Settled(
        accepted=total("valid_payload_count_total"),
        published=total("gatekeeper_published_total"),
        applied=total("gatekeeper_applied_total"),
        faults={name: total(name) for name in _FAULTS if total(name)},
        end_to_end=add_buckets(group.buckets(_END_TO_END) for group in groups),
        pushed_at=min(workers, default=0.0),
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
