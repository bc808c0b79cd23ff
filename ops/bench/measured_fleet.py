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

_ACCEPTED = 200


class FleetTotals(NamedTuple):
    """The metrics in the Pushgateway, added up over all processes."""

    applied: float
    faults: Mapping[str, float]
    """The counters that should be 0 and are not."""
    end_to_end: Buckets
    """Cumulative: upper bound in seconds → transactions."""
    pushed_at: float
    """The oldest of the workers' last pushes; Unix seconds."""


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
        """Raise RunFailed if a server or a worker has ended or was restarted."""
        now = {state.name: state for state in self.states("server", "worker")}
        for name, pid in self._started.items():
            state = now[name]
            if state.state != "RUNNING" or state.pid != pid:
                raise RunFailed(f"{name} ended or was restarted: {state.description}")

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
        """Insert a row into every table of the load, so that no delete misses its table."""
        mix = TransactionMix()
        for table in mix.tables:
            status, verdict = self.post({"activities": [mix.insert(table)]})
            if status != _ACCEPTED:
                raise RunFailed(f"the fleet did not accept a transaction: {verdict}")
        self.drain()
        # A worker's stream can fail before the services are up and provisioned.
        self._excused = self._applied(len(mix.tables)).faults

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each running process has used so far."""
        running = (state for state in self.states() if state.state == "RUNNING")
        return {state.name: cpu_seconds(state.pid) for state in running}

    def drain(self, seconds: float = 120.0) -> None:
        """Return when everything is applied."""
        self.wait_until_drained(seconds, self.check)

    def totals(self) -> FleetTotals:
        return fleet_totals(self.pushed(*METRICS))

    def totals_after_push(self) -> FleetTotals:
        """Return the totals after every worker has pushed again."""
        asked_at = time.time()
        return self._once(lambda now: now.pushed_at > asked_at, "every worker pushes its metrics")

    def totals_after(self, applied: float) -> FleetTotals:
        """Return the totals with `applied` transactions in them; raises RunFailed for a fault."""
        found = self._applied(applied)
        if faults := new_faults(found.faults, self._excused):
            raise RunFailed(f"the fleet counted faults: {faults}")
        self.check()
        return found

    def _applied(self, count: float) -> FleetTotals:
        return self._once(lambda now: now.applied >= count, f"{count:,.0f} transactions applied")

    def _once(self, ready: Callable[[FleetTotals], bool], what: str) -> FleetTotals:
        def found() -> list[FleetTotals]:
            now = self.totals()
            return [now] if ready(now) else []

        return wait_until(found, 20.0, what)[0]


def fleet_totals(groups: Collection[PushedGroup]) -> FleetTotals:

    def total(name: str) -> float:
        return sum(group.total(name) for group in groups)

    workers = [group.pushed_at for group in groups if group.job == "gatekeeper_worker"]
    return FleetTotals(
        applied=total("gatekeeper_applied_total"),
        faults={name: total(name) for name in _FAULTS if total(name)},
        end_to_end=add_buckets(group.buckets(_END_TO_END) for group in groups),
        pushed_at=min(workers, default=0.0),
    )


def new_faults(now: Mapping[str, float], excused: Mapping[str, float]) -> dict[str, float]:
    """Return the counters that have grown; a restarted process counts from 0 again."""
    return {
        name: count - excused.get(name, 0.0) if count >= excused.get(name, 0.0) else count
        for name, count in now.items()
        if count != excused.get(name, 0.0)
    }


def added(later: Buckets, earlier: Buckets) -> Buckets:
    """Return the histogram of the values that were added between two readings."""
    return {bound: count - earlier.get(bound, 0.0) for bound, count in later.items()}
