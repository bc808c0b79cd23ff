"""A fleet whose workers commit to the strict BigQuery, with the settings of the cloud."""

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ops.bench.apply_stages import check_worker_log
from ops.rig import RunFailed, strict_bigquery, wait_until
from ops.rig.environment import START_SECONDS, Environment
from ops.rig.strict_bigquery.documented_rules import Latency
from schema import lane_of

_DRAIN_SECONDS: Final = 300.0
# A PROJECT_ID is what makes the cloud; all names are those of local mode.
_CLOUD: Final = {
    "PROJECT_ID": "gatekeeper-local",
    "DATASET_ID": "gatekeeper",
    "TOPIC_ID": "gatekeeper",
    "SUBSCRIPTION_ID": "gatekeeper-workers",
}


def table_name(number: int) -> str:
    return f"bench_{number:03}"


STUCK_TABLE: Final = next(
    name
    for name in (f"stuck_{number}" for number in itertools.count())
    if lane_of(name) == lane_of(table_name(0))
)
"""No statement on it ends. Its lane has other tables too."""


class StrictSetting(NamedTuple):
    """The workers and the BigQuery behind them; times in seconds."""

    workers: int = 8
    freshness: float = 10.0
    latency: Latency = Latency()
    table_gb: float = 1.0
    partitions: int = 30
    """Of each table, one a day."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return options of the strict BigQuery."""
        stuck = f"{_CLOUD['PROJECT_ID']}.{_CLOUD['DATASET_ID']}.{STUCK_TABLE}"
        sizes = ("--table-gb", str(self.table_gb), "--partitions", str(self.partitions))
        return (*sizes, "--stuck-table", stuck)


class StrictCounts(NamedTuple):
    """What a strict BigQuery has counted: its report, and the batches that were committed."""

    report: Mapping[str, Any]
    batches: list[strict_bigquery.SettledBatch]

    @property
    def dollars_a_million(self) -> float:
        """Dollars billed for a million transactions."""
        dollars: float = self.report["dollars"]
        return dollars / len(self.ages()) * 1e6

    def refusals(self) -> dict[str, int]:
        """Return the number of refusals by rule."""
        return {rule: each["count"] for rule, each in self.report["refusals"].items()}

    def ages(self, *, without: str = "") -> list[float]:
        """Return the seconds from receipt to commit, ascending, `without` one lane's."""
        found = sorted(age for each in self.batches if each.lane != without for age in each.ages)
        if not found:
            raise RunFailed("nothing was committed")
        return found


class StrictFleet(Environment):
    """One server, the embedded Pub/Sub, and workers that commit to a strict BigQuery."""

    def __init__(self, setting: StrictSetting) -> None:
        super().__init__()
        self.refusals: Counter[str] = Counter()
        """Before the last reset, by rule."""
        self._bigquery = self.variables["BIGQUERY_EMULATOR_HOST"]
        self.pubsub()
        self.strict_bigquery(setting.latency, *setting.words)
        self.address = self.server("server").address
        settings = {**_CLOUD, "FRESHNESS_SECONDS": str(setting.freshness)}
        self._workers = [
            self.start(self.worker(f"worker_{number:02}", settings=settings))
            for number in range(setting.workers)
        ]
        wait_until(self._pulling, START_SECONDS, "every worker has started")

    def _pulling(self) -> bool:
        self.check()
        return all("worker_started" in worker.output for worker in self._workers)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each process has used so far."""
        return {process.log.stem: process.cpu_seconds() for process in self.started}

    def drain(self) -> None:
        """Return when everything is applied; raises RunFailed for a problem that was logged."""
        self.wait_until_drained(_DRAIN_SECONDS, self.check)
        for worker in self._workers:
            check_worker_log(worker)

    def counted(self) -> StrictCounts:
        """Return what the strict BigQuery has counted since the last reset."""
        report = strict_bigquery.read_report(self._bigquery)
        return StrictCounts(report, strict_bigquery.read_settled(self._bigquery))

    def count_from_zero(self) -> None:
        """Reset what the strict BigQuery has counted, and keep its refusals."""
        self.refusals.update(self.counted().refusals())
        strict_bigquery.reset(self._bigquery)

    def kill_workers(self) -> None:
        """End the workers without their batches, which may be stuck."""
        for worker in self._workers:
            worker.kill()
