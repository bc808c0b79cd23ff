"""Guarantees for workers that commit at the same time."""

import concurrent.futures
import threading
import uuid
from collections import Counter

import pytest
from google.api_core.exceptions import BadRequest, Conflict

from tests.integration.bigquery.conftest import DATASET, Emulator


@pytest.fixture
def table(emulator: Emulator) -> str:
    name = f"{DATASET}.t{uuid.uuid4().hex}"
    emulator.run(f"CREATE TABLE `{name}` (n INT64)")
    emulator.run(f"INSERT INTO `{name}` (n) VALUES (1), (2)")
    return name


def beaten(emulator: Emulator, first: str, second: str) -> None:
    """Run `second` while a transaction with `first` is open; then commit the transaction."""
    with emulator.session() as run:
        run("BEGIN TRANSACTION")
        run(first)
        emulator.run(second)
        run("COMMIT TRANSACTION")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DELETE FROM `{}` WHERE n = 1", "DELETE FROM `{}` WHERE n = 1"),
        ("INSERT INTO `{}` (n) VALUES (3)", "DELETE FROM `{}` WHERE n = 1"),
        ("INSERT INTO `{}` (n) VALUES (3)", "ALTER TABLE `{}` ADD COLUMN m INT64"),
    ],
)
def test_the_last_commit_loses_a_conflict_with_bigquerys_error(
    emulator: Emulator, table: str, first: str, second: str
) -> None:
    with pytest.raises(BadRequest, match="Transaction is aborted due to concurrent update"):
        beaten(emulator, first.format(table), second.format(table))


def test_two_transactions_that_only_insert_both_commit(emulator: Emulator, table: str) -> None:
    insert = f"INSERT INTO `{table}` (n) VALUES (3)"
    beaten(emulator, insert, insert)
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(4,)]


def test_a_job_id_runs_once_for_concurrent_requests(emulator: Emulator, table: str) -> None:
    start, job_id = threading.Barrier(4), uuid.uuid4().hex

    def attempt() -> str:
        start.wait()
        try:
            emulator.run(f"INSERT INTO `{table}` (n) VALUES (3)", job_id=job_id)
        except Conflict as refusal:
            assert "Already Exists: Job" in str(refusal)  # noqa: PT017
            return "refused"
        return "run"

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        outcomes = Counter(f.result() for f in [pool.submit(attempt) for _ in range(4)])
    assert outcomes == {"run": 1, "refused": 3}
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(3,)]


def test_maintenance_disturbs_none_of_four_writers(emulator: Emulator, table: str) -> None:
    own = [f"{table}_{worker}" for worker in range(4)]
    for name in own:
        emulator.run(f"CREATE TABLE `{name}` (n INT64)")

    def work(name: str) -> None:
        for n in range(15):
            emulator.run(
                f"BEGIN TRANSACTION; DELETE FROM `{name}` WHERE n = {n - 1}; "
                f"INSERT INTO `{name}` (n) VALUES ({n}); "
                f"INSERT INTO `{table}` (n) VALUES ({n}); COMMIT TRANSACTION;"
            )

    rounds = emulator.service.output.count('"maintained"')
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, name) for name in own]:
            done.result()
    assert emulator.service.output.count('"maintained"') > rounds
    for name in own:
        assert emulator.rows(f"SELECT n FROM `{name}`") == [(14,)]
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(2 + 4 * 15,)]
    assert '"maintenance_failed"' not in emulator.service.output
