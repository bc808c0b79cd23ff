"""A whole fleet with default settings, and the totals of the metrics that its processes push."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ops.rig import RunFailed, cpu_seconds, wait_until
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.transaction_mix import TransactionMix
from ops.runtime.pushed_metrics import Buckets, PushedGroup, add_buckets
from ops.runtime.terminal import write_error

_ACCEPTED: Final = 200
_PUSH_SECONDS: Final = 20.0
_FAULTS: Final = (
    "gatekeeper_publish_failures_total",
    "gatekeeper_dead_lettered_total",
    "gatekeeper_leases_lost_total",
    "gatekeeper_stream_failures_total",
    "gatekeeper_unknown_outcomes_total",
    "invalid_payload_count_total",
)
_APPLIED: Final = "gatekeeper_applied_total"
_END_TO_END: Final = "gatekeeper_end_to_end_seconds_bucket"
METRICS: Final = (*_FAULTS, _APPLIED, _END_TO_END)


class FleetTotals(NamedTuple):
    """The metrics in the Pushgateway, added up over all processes."""

    applied: float
    faults: Mapping[str, float]
    """The counters that should be 0 and are not."""
    end_to_end: Buckets
    pushed_at: float
    """The oldest of the workers' last pushes; Unix seconds."""


class MeasuredFleet(DisposableFleet):
    """The fleet of supervisord.conf; a restart or a counted fault fails the run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, BATCH_MAX_SECONDS="", LEASE_SECONDS="", LANES="")  # the defaults
        self._pids: dict[str, int] = {}
        self._excused: Mapping[str, float] = {}

    def make_tables(self) -> None:
        """Insert a row into every table of the load, so that no delete misses its table."""
        self._remember()
        mix = TransactionMix()
        for table in mix.tables:
            status, verdict = self.post({"activities": [mix.insert(table)]})
            if status != _ACCEPTED:
                raise RunFailed(f"the fleet did not accept a transaction: {verdict}")
        self.drain()
        # A worker's stream can fail before the services are up and provisioned.
        self._excused = self._applied(len(mix.tables)).faults

    def _remember(self) -> None:
        states = self.states("server", "worker")
        self._pids = {each.name: each.pid for each in states if each.state == "RUNNING"}

    def check(self) -> None:
        """Raise RunFailed if a server or a worker has ended or was restarted."""
        now = {state.name: state for state in self.states("server", "worker")}
        for name, pid in self._pids.items():
            if now[name].state != "RUNNING" or now[name].pid != pid:
                raise RunFailed(f"{name} ended or was restarted: {now[name].description}")

    def stop_workers(self) -> None:
        """Drain and stop the workers."""
        self._call("supervisor.stopProcessGroup")

    def start_workers(self) -> None:
        self._call("supervisor.startProcessGroup")

    def _call(self, method: str) -> None:
        wait = True
        self.supervisord.call(method, "worker", wait)
        self._remember()

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each running process has used so far."""
        running = (state for state in self.states() if state.state == "RUNNING")
        return {state.name: cpu_seconds(state.pid) for state in running}

    def drain(self, seconds: float = 120.0) -> None:
        """Return when everything is applied."""
        self.wait_until_drained(seconds, self.check)

    def totals_after_push(self) -> FleetTotals:
        """Return the totals after every worker has pushed again."""
        asked_at = time.time()
        return self._totals(lambda now: now.pushed_at > asked_at, "every worker pushes its metrics")

    def totals_after(self, applied: float) -> FleetTotals:
        """Return the totals with `applied` transactions in them; raises RunFailed for a fault."""
        found = self._applied(applied)
        if faults := new_faults(found.faults, self._excused):
            raise RunFailed(f"the fleet counted faults: {faults}")
        self.check()
        return found

    def _applied(self, count: float) -> FleetTotals:
        return self._totals(lambda now: now.applied >= count, f"{count:,.0f} transactions applied")

    def _totals(self, ready: Callable[[FleetTotals], bool], what: str) -> FleetTotals:
        def found() -> FleetTotals | None:
            totals = fleet_totals(self.pushed(*METRICS))
            return totals if ready(totals) else None

        totals = wait_until(found, _PUSH_SECONDS, what)
        assert totals is not None  # noqa: S101  # wait_until returns only what is true
        return totals


@contextlib.contextmanager
def measured_fleet() -> Iterator[MeasuredFleet]:
    """Run a fleet with the tables of the load; print its logs if the run fails."""
    with (
        tempfile.TemporaryDirectory(
            prefix="gatekeeper-bench-", ignore_cleanup_errors=True
        ) as folder,
        MeasuredFleet(Path(folder)) as fleet,
    ):
        try:
            fleet.make_tables()
            yield fleet
        except RunFailed:
            write_error(f"the end of the fleet's logs:\n{fleet.logs()}", keep="\n")
            raise


def fleet_totals(groups: Collection[PushedGroup]) -> FleetTotals:
    def total(name: str) -> float:
        return sum(group.total(name) for group in groups)

    workers = [group.pushed_at for group in groups if group.job == "gatekeeper_worker"]
    return FleetTotals(
        applied=total(_APPLIED),
        faults={name: total(name) for name in _FAULTS if total(name)},
        end_to_end=add_buckets(group.buckets(_END_TO_END) for group in groups),
        pushed_at=min(workers, default=0.0),
    )


def new_faults(now: Mapping[str, float], excused: Mapping[str, float]) -> dict[str, float]:
    """Return the counters that have grown; a restarted process counts from 0 again."""
    grown = {name: count - excused.get(name, 0.0) for name, count in now.items()}
    return {name: by if by > 0 else now[name] for name, by in grown.items() if by}


def added(later: Buckets, earlier: Buckets) -> Buckets:
    """Return the histogram of the values that were added between two readings."""
    return {bound: count - earlier.get(bound, 0.0) for bound, count in later.items()}
