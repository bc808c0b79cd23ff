"""Keeps the lake small and quick: compaction; old jobs, results and ledger rows removed."""

import threading
import time

import duckdb
from local_bigquery.engine import database

from ops.local import steady_clock
from ops.local.bigquery.gate import Gate
from ops.runtime import log

logger = log.get(__name__)

JOBS_A_ROUND = 40  # a round takes 0.2 s or so, and 40 transactions several seconds
IDLE_SECONDS = 3.0
PRUNE_SECONDS = 600.0
KEEP_JOBS_SECONDS = 3_600
KEEP_RESULTS_SECONDS = 120  # from sending the query to its last page
# Files that nothing names any longer stay for readers that are not jobs (a page of a table's rows).
KEEP_FILES = "INTERVAL 60 SECOND"
# Merging rewrites what it merges, so files that have grown past these are left to a rarer round.
SMALL_FILE_BYTES = 1_000_000
MEDIUM_FILE_BYTES = 32_000_000
ROUNDS_UNTIL_MEDIUM = 25
REWRITE_FROM_DELETED = 0.05  # of a file's rows; one with fewer deleted stays, and merges with none
PATIENCE_SECONDS = (0.1, 0.3, 1.0, 2.0)  # with every attempt that found jobs running, more


def compact(max_file_bytes: int) -> None:
    """Merge small files, apply deletes, drop old snapshots, remove the files of a minute ago.

    Only with no transaction open: see `Gate`. An error leaves the lake as it was.
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
    """Delete the data files that a crash left behind; only before the first job."""
    with database.cursor() as cursor:
        for project_id in database.projects():
            call = "SELECT count(*) FROM ducklake_delete_orphaned_files(?, cleanup_all => true)"
            cursor.execute(call, [project_id]).fetchall()


def drop_results(keep_seconds: float = KEEP_RESULTS_SECONDS) -> None:
    """Drop the result tables of queries that were sent longer ago than this.

    Every statement looks through the list of tables, so a thousand results slow down everything.
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


def forget_jobs(keep_seconds: float = KEEP_JOBS_SECONDS) -> None:
    """Forget finished jobs that were sent longer ago than this."""
    before = int((steady_clock.now() - keep_seconds) * 1000)
    database.execute(
        "DELETE FROM emulator.jobs WHERE state = 'DONE' AND creation_time < ?", [before]
    )


def expire_ledger(dataset: tuple[str, str], days: int) -> None:
    """Delete the ledger's rows that BigQuery's partition expiration would have dropped."""
    table = database.quote(*dataset, "gatekeeper_ledger")
    try:
        database.execute(
            f"DELETE FROM {table} WHERE settled_at < to_timestamp(?) - to_days(?)",  # noqa: S608
            [steady_clock.now(), days],
        )
    except duckdb.CatalogException:
        return  # not provisioned yet


class Upkeep(threading.Thread):
    """Runs rounds of maintenance beside the server: after so many jobs, or when it is idle."""

    def __init__(self, gate: Gate, dataset: tuple[str, str], ledger_days: int) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._gate = gate
        self._dataset = dataset
        self._ledger_days = ledger_days
        self._stopping = threading.Event()
        self._done_at = 0
        self._refused = 0
        self._rounds = 0
        self._pruned_at = time.monotonic()

    def prepare(self) -> None:
        """Do at start what needs nobody else there: everything, thoroughly."""
        remove_orphans()
        self._prune()
        drop_results()
        compact(MEDIUM_FILE_BYTES)

    def stop(self) -> None:
        """End after the round that is running."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Do a round whenever one is due; an error is logged and the next round tries again."""
        while not self._stopping.wait(0.1):
            if not self._due():
                continue
            try:
                self._round()
            except Exception:
                logger.exception("maintenance_failed")
                self._done_at = self._gate.finished

    def _due(self) -> bool:
        waiting = self._gate.finished - self._done_at
        return waiting >= JOBS_A_ROUND or (waiting > 0 and self._gate.idle_seconds > IDLE_SECONDS)

    def _round(self) -> None:
        patience = PATIENCE_SECONDS[min(self._refused, len(PATIENCE_SECONDS) - 1)]
        with self._gate.alone(patience) as alone:
            if not alone:
                self._refused += 1
            else:
                started = time.monotonic()
                self._maintain()
                seconds = round(time.monotonic() - started, 3)
                logger.debug("maintained", seconds=seconds, attempts=self._refused + 1)
                self._refused = 0
        if not alone:
            # What was inside outlasted the patience: leave the others a while before asking again.
            self._stopping.wait(patience * 10)

    def _maintain(self) -> None:
        self._done_at = self._gate.finished
        self._rounds += 1
        if time.monotonic() - self._pruned_at > PRUNE_SECONDS:
            self._prune()
        drop_results()
        medium = self._rounds % ROUNDS_UNTIL_MEDIUM == 0
        compact(MEDIUM_FILE_BYTES if medium else SMALL_FILE_BYTES)

    def _prune(self) -> None:
        self._pruned_at = time.monotonic()
        forget_jobs()
        expire_ledger(self._dataset, self._ledger_days)
