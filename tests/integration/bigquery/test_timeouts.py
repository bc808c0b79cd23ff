"""A job's time limit: after it, nothing of the job is committed."""

import concurrent.futures
import signal
import time
import uuid
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.rig import wait_until
from ops.runtime.warehouse_errors import (
    TimedOut,
    classify,
)
from tests.integration.bigquery.conftest import DATASET, Emulator

# Takes about a second until its COMMIT.
SLOW = """
BEGIN TRANSACTION;
INSERT INTO `{0}` (n) VALUES (1);
INSERT INTO `{0}` (n) SELECT MAX(a * b) FROM UNNEST(GENERATE_ARRAY(1, 20000)) AS a,
  UNNEST(GENERATE_ARRAY(1, 20000)) AS b;
COMMIT TRANSACTION;
"""
QUICK = "BEGIN TRANSACTION; INSERT INTO `{0}` (n) VALUES (1); COMMIT TRANSACTION;"


@pytest.fixture
def table(emulator: Emulator) -> str:
    return new_table(emulator)


def new_table(emulator: Emulator) -> str:
    name = f"{DATASET}.t{uuid.uuid4().hex}"
    emulator.run(f"CREATE TABLE `{name}` (n INT64)")
    return name


def run(emulator: Emulator, sql: str, milliseconds: int, job_id: str = "") -> Any:
    with emulator.client() as client:
        job = client.query(
            sql,
            job_id=job_id or uuid.uuid4().hex,
            job_config=bigquery.QueryJobConfig(job_timeout_ms=milliseconds),
            retry=None,
            job_retry=None,
        )
        return job.result(retry=None, job_retry=None)


@pytest.mark.parametrize(("sql", "milliseconds"), [(SLOW, 100), (QUICK, 1)])
def test_a_job_past_its_time_commits_nothing(
    emulator: Emulator, table: str, sql: str, milliseconds: int
) -> None:
    with pytest.raises(GoogleAPICallError, match="Job timed out after") as caught:
        run(emulator, sql.format(table), milliseconds)
    assert caught.value.errors[0]["reason"] == "stopped"
    assert classify(caught.value) is TimedOut
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]


def test_a_job_within_its_time_commits(emulator: Emulator, table: str) -> None:
    run(emulator, QUICK.format(table), 60_000)
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(1,)]


def test_a_second_request_with_the_same_id_gives_a_job_no_more_time(
    emulator: Emulator, table: str
) -> None:
    job_id = uuid.uuid4().hex
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(run, emulator, SLOW.format(table), 600, job_id)
        wait_until(lambda: state(emulator, job_id))
        again: list[BaseException | None] = []
        while not first.done():
            again.append(pool.submit(run, emulator, QUICK, 60_000, job_id).exception())
    assert "timed out" in str(first.exception())
    assert any(isinstance(error, Conflict) for error in again)
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]


def test_the_time_runs_while_the_service_is_suspended(emulator: Emulator, table: str) -> None:
    job_id = uuid.uuid4().hex
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(run, emulator, SLOW.format(table), 1_500, job_id)
        wait_until(lambda: state(emulator, job_id) == "RUNNING")
        emulator.service.signal(signal.SIGSTOP)
        time.sleep(1.6)  # the job's time
        emulator.service.signal(signal.SIGCONT)
        assert "timed out" in str(running.exception())
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]


def test_time_in_the_socket_of_a_suspended_service_counts(emulator: Emulator, table: str) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        emulator.service.signal(signal.SIGSTOP)
        late = pool.submit(run, emulator, QUICK.format(table), 1_000)
        time.sleep(2.2)  # longer than the job's time, and than any pause of a busy machine
        emulator.service.signal(signal.SIGCONT)
        assert "timed out" in str(late.exception())
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]


def state(emulator: Emulator, job_id: str) -> str | None:
    with emulator.client() as client:
        try:
            found: str = client.get_job(job_id, retry=None).state
        except NotFound:
            return None
        return found
