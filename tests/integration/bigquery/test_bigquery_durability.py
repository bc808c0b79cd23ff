"""After kill -9: every confirmed transaction, no half transaction, and an answer for every job."""

import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest
import requests
from google.api_core.exceptions import GoogleAPIError, InternalServerError

from ops.rig import wait_until
from tests.integration.bigquery.conftest import DATASET, Emulator

ENDLESS = (
    "SELECT SUM(SIN(x) * COS(y)) FROM UNNEST(GENERATE_ARRAY(1, 90000)) AS x, "
    "UNNEST(GENERATE_ARRAY(1, 90000)) AS y"
)
PAIR = (
    f"BEGIN TRANSACTION; INSERT INTO `{DATASET}.one` (n) VALUES (CAST(@n AS INT64)); "
    f"INSERT INTO `{DATASET}.two` (n) VALUES (CAST(@n AS INT64)); COMMIT TRANSACTION;"
)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("state")) as emulator:
        for table in ("one", "two"):
            emulator.run(f"CREATE TABLE `{DATASET}.{table}` (n INT64)")
        yield emulator


def commit_until_killed(emulator: Emulator, first: int, confirmed: list[int]) -> None:
    with contextlib.suppress(requests.ConnectionError, GoogleAPIError):
        for n in range(first, first + 10_000):
            emulator.run(PAIR, n=str(n))
            confirmed.append(n)


def test_after_a_kill_confirmed_transactions_are_there_and_no_half_one(
    fragile: Emulator,
) -> None:
    confirmed: list[int] = []
    for generation in range(2):
        before = len(confirmed)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for worker in range(2):
                first = generation * 100_000 + worker * 10_000
                pool.submit(commit_until_killed, fragile, first, confirmed)
            wait_until(lambda: len(confirmed) >= before + 8, what="some transactions")  # noqa: B023
            fragile.service.kill()
        fragile.service.start()
        fragile.wait()
        one, two = (
            [n for (n,) in fragile.rows(f"SELECT n FROM `{DATASET}.{t}` ORDER BY n")]
            for t in ("one", "two")
        )
        assert one == two
        assert set(confirmed) <= set(one)
        assert len(one) == len(set(one)) <= len(confirmed) + 2 * (generation + 1)


@contextlib.contextmanager
def running(emulator: Emulator, script: str, job_id: str) -> Iterator[None]:
    """Run a script that never ends; it ends with the emulator."""

    def call() -> None:
        with contextlib.suppress(requests.ConnectionError, GoogleAPIError):
            emulator.run(script, job_id=job_id)

    caller = threading.Thread(target=call)
    caller.start()
    with emulator.client() as client:
        wait_until(lambda: [j for j in client.list_jobs() if j.job_id == job_id], 20, job_id)
    yield
    caller.join()


def test_a_job_interrupted_by_a_kill_has_failed(fragile: Emulator) -> None:
    begun = f"BEGIN TRANSACTION; INSERT INTO `{DATASET}.one` (n) VALUES (-1)"
    with running(fragile, f"{begun}; {ENDLESS}; COMMIT TRANSACTION;", "interrupted"):
        fragile.service.kill()
    fragile.service.start()
    fragile.wait()
    with fragile.client() as client:
        job = client.get_job("interrupted")
        assert job.state == "DONE"
        assert job.error_result["reason"] == "jobBackendError"
        with pytest.raises(InternalServerError, match="retry it under a new job id"):
            job.result(retry=None)
    assert fragile.rows(f"SELECT n FROM `{DATASET}.one` WHERE n = -1") == []


def test_a_stop_interrupts_running_jobs_within_seconds(fragile: Emulator) -> None:
    with running(fragile, ENDLESS, "endless"):
        fragile.service.signal(signal.SIGTERM)
        assert fragile.service.wait() == 0
    fragile.service.start()
    fragile.wait()
