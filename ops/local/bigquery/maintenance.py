"""Keeps the lake small and fast: compaction; removal of old jobs, results and ledger rows."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from local_bigquery.engine import database

from ops.local import steady_clock
from ops.local.bigquery.maintenance_lock import MaintenanceLock
from ops.runtime import log
from schema import MAX_LANES, ledger_table, rejected_table

logger = log.get(__name__)

JOBS_A_ROUND = 40  # a round takes about 0.2 s, and 40 transactions several seconds
IDLE_SECONDS = 3.0
CHECK_SECONDS = 0.5
"""Between two looks at whether a round is due."""
PRUNE_SECONDS = 600.0
KEEP_JOBS_SECONDS = 3_600
KEEP_RESULTS_SECONDS = 120  # from sending the query to its last page
# Unreferenced files stay this long for readers that are not jobs (a page of a table's rows).
KEEP_FILES = "INTERVAL 60 SECOND"
# Merging rewrites files, so larger ones are merged only in every n-th round, or never.
SMALL_FILE_BYTES = 1_000_000
MEDIUM_FILE_BYTES = 32_000_000
ROUNDS_UNTIL_MEDIUM = 25
# A file with a smaller share of deleted rows is neither rewritten nor merged.
REWRITE_FROM_DELETED = 0.05
PATIENCE_SECONDS = (0.1, 0.3, 1.0, 2.0)  # grows with every attempt that found jobs running


def compact(max_file_bytes: int) -> None:
    """Merge small files, apply deletes, drop old snapshots, remove unreferenced files.

    Only with no transaction open: see `MaintenanceLock`. An error leaves the lake unchanged.
    """
    with database.cursor() as cursor:
        for project_id in database.projects():
            for call in (
                "ducklake_rewrite_data_files(?, delete_threshold => ?)",
                "ducklake_merge_adjacent_files(?, max_file_size => ?)",
                "ducklake_expire_snapshots(?, older_than => now())",
                f"ducklake_cleanup_old_files(?, older_than => now() - {KEEP_FILES})",
            ):
                values: list[object] = [project_id]
                if "rewrite" in call:
                    values.append(REWRITE_FROM_DELETED)
                elif "merge" in call:
                    values.append(max_file_bytes)
                cursor.execute(f"SELECT count(*) FROM {call}", values).fetchall()  # noqa: S608


def remove_orphans() -> None:
    """Delete the data files left by a crash; only before the first job."""
    with database.cursor() as cursor:
        for project_id in database.projects():
            call = "SELECT count(*) FROM ducklake_delete_orphaned_files(?, cleanup_all => true)"
            cursor.execute(call, [project_id]).fetchall()


def drop_results(keep_seconds: float = KEEP_RESULTS_SECONDS) -> None:
    """Drop the result tables of queries sent longer ago than this.

    Every statement scans the list of tables, so a thousand results slow down everything.
    """
    before = int((steady_clock.now() - keep_seconds) * 1000)
    with database.cursor() as cursor:
        old = cursor.execute(
            "SELECT t.table_name FROM duckdb_tables() t "
            "LEFT JOIN emulator.jobs j ON t.table_name = j.project_id || ':' || j.job_id "
            "WHERE t.database_name = 'emulator' AND t.schema_name = '_results' "
            "AND (j.job_id IS NULL OR (j.state = 'DONE' AND j.creation_time < ?))",
            [before],
        ).fetchall()
        for (name,) in old:
            cursor.execute(f"DROP TABLE {database.quote('emulator', '_results', name)}")


def delete_jobs(keep_seconds: float = KEEP_JOBS_SECONDS) -> None:
    """Delete finished jobs sent longer ago than this."""
    before = int((steady_clock.now() - keep_seconds) * 1000)
    database.execute(
        "DELETE FROM emulator.jobs WHERE state = 'DONE' AND creation_time < ?", [before]
    )


class KeptDays(NamedTuple):
    """How long the lanes' tables keep what is settled."""

    ledger: int
    rejected: int


def expire(dataset: tuple[str, str], table_of: Callable[[int], str], days: int) -> None:
    """Delete the rows of the lanes that BigQuery's partition expiration would have dropped."""
    rows = database.fetch(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = ? AND schema_name = ? AND estimated_size > 0",
        [*dataset],
    )
    for name in {name for (name,) in rows} & {table_of(lane) for lane in range(MAX_LANES)}:
        database.execute(
            f"DELETE FROM {database.quote(*dataset, name)} "  # noqa: S608
            "WHERE settled_at < to_timestamp(?) - to_days(?)",
            [steady_clock.now(), days],
        )


class Maintenance(threading.Thread):
    """Runs rounds of maintenance: after `JOBS_A_ROUND` jobs, or when the server is idle."""

    def __init__(self, lock: MaintenanceLock, dataset: tuple[str, str], kept: KeptDays) -> None:
        super().__init__(name="maintenance", daemon=True)
        self._lock = lock
        self._dataset = dataset
        self._kept = kept
        self._stopping = threading.Event()
        self._done_at = -1  # a round is due, when the fleet has started
        self._missed = 0
        self._rounds = 0
        self._pruned_at = float("-inf")

    def stop(self) -> None:
        """End after the current round."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Do a round whenever it is due; an error is logged, and the next round tries again."""
        while not self._stopping.wait(CHECK_SECONDS):
            if not self._due():
                continue
            try:
                self._round()
            except Exception:
                logger.exception("maintenance_failed")
                self._done_at = self._lock.finished

    def _due(self) -> bool:
        waiting = self._lock.finished - self._done_at
        return waiting >= JOBS_A_ROUND or (waiting > 0 and self._lock.idle_seconds > IDLE_SECONDS)

    def _round(self) -> None:
        patience = PATIENCE_SECONDS[min(self._missed, len(PATIENCE_SECONDS) - 1)]
        with self._lock.exclusive(patience) as acquired:
            if not acquired:
                self._missed += 1
            else:
                started = time.monotonic()
                self._maintain()
                seconds = round(time.monotonic() - started, 3)
                logger.debug("maintained", seconds=seconds, attempts=self._missed + 1)
                self._missed = 0
        if not acquired:
            # A job ran longer than the patience: let other jobs run before the next attempt.
            self._stopping.wait(patience * 10)

    def _maintain(self) -> None:
        self._done_at = self._lock.finished
        medium = self._rounds % ROUNDS_UNTIL_MEDIUM == 0  # the first one too
        self._rounds += 1
        if time.monotonic() - self._pruned_at > PRUNE_SECONDS:
            self._prune()
        drop_results()
        compact(MEDIUM_FILE_BYTES if medium else SMALL_FILE_BYTES)

    def _prune(self) -> None:
        self._pruned_at = time.monotonic()
        delete_jobs()
        expire(self._dataset, ledger_table, self._kept.ledger)
        expire(self._dataset, rejected_table, self._kept.rejected)
