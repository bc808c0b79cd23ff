"""A BigQuery client behind the proxy: it does not notice it, and gets each fault as documented."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery

from ops.rig import eventually, free_port
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.runtime.warehouse_errors import (
    Conflicted,
    OutcomeUnknown,
    WarehouseUnavailable,
    classify,
)
from tests.support.bigquery_client import connect

TABLE = "gatekeeper-local.gatekeeper.t"
ONCE = Retry(predicate=if_exception_type())
LOST = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.fixture(scope="module")
def upstream(local_bigquery: str) -> str:
    with connect(local_bigquery) as client:
        client.create_table(bigquery.Table(TABLE, [bigquery.SchemaField("n", "STRING")]))
    return local_bigquery


@dataclass
class ProxiedBigQuery:
    """A client of the proxy and one of the service."""

    proxy: BigQueryProxy
    client: bigquery.Client
    direct: bigquery.Client

    async def insert(self, value: str, job_id: str | None = None) -> bigquery.QueryJob:
        """Commit a row in one script, sent once."""

        def run() -> bigquery.QueryJob:
            job = self.client.query(
                f"BEGIN TRANSACTION; INSERT INTO `{TABLE}` (n) VALUES (@n); COMMIT TRANSACTION;",
                job_id=job_id or uuid.uuid4().hex,
                job_config=bigquery.QueryJobConfig(
                    query_parameters=[bigquery.ScalarQueryParameter("n", "STRING", value)]
                ),
                retry=ONCE,
                job_retry=None,
                timeout=20,
            )
            job.result(retry=ONCE, job_retry=None, timeout=20)
            return job

        return await asyncio.to_thread(run)

    async def count(self, value: str) -> int:
        """Return how often the row is there."""

        def run() -> int:
            parameter = bigquery.ScalarQueryParameter("n", "STRING", value)
            config = bigquery.QueryJobConfig(query_parameters=[parameter])
            rows = self.direct.query(f"SELECT COUNT(*) FROM `{TABLE}` WHERE n = @n", config)
            return int(next(iter(rows.result()))[0])

        return await asyncio.to_thread(run)

    async def fails(self, job_id: str, value: str) -> Exception:
        """Insert until that fails; return how."""
        for attempt in range(50):
            try:
                await self.insert(value, f"{job_id}-{attempt}")
            except Exception as error:  # noqa: BLE001 - the test checks it
                return error
        raise AssertionError("50 calls passed")


@pytest.fixture
async def scene(upstream: str) -> AsyncIterator[ProxiedBigQuery]:
    address = f"127.0.0.1:{free_port()}"
    proxy = BigQueryProxy(address, upstream)
    await proxy.start()
    with connect(address) as client, connect(upstream) as direct:
        yield ProxiedBigQuery(proxy, client, direct)
    await proxy.stop()


async def test_without_a_fault_jobs_rows_and_errors_pass_untouched(scene: ProxiedBigQuery) -> None:
    value = uuid.uuid4().hex
    job = await scene.insert(value)
    assert await scene.count(value) == 1

    def read(client: bigquery.Client) -> tuple[Any, ...]:
        rows = client.query("SELECT n, n * n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n ORDER BY n")
        found = client.get_job(job.job_id)
        assert isinstance(found, bigquery.QueryJob)
        with pytest.raises(exceptions.NotFound) as missing:
            client.get_table(f"{TABLE}none")
        values = [tuple(row.values()) for row in rows.result(page_size=1_000)]
        return values, found.state, found.query, str(missing.value).partition("/bigquery")[2]

    through, direct = await asyncio.gather(
        *(asyncio.to_thread(read, client) for client in (scene.client, scene.direct))
    )
    assert through == direct
    assert len(through[0]) == 5_000
    assert not scene.proxy.hits


async def test_a_request_of_megabytes_passes(scene: ProxiedBigQuery) -> None:
    value = os.urandom(1_500_000).hex()
    await scene.insert(value)
    assert await scene.count(value) == 1


async def test_a_compressed_answer_stays_so(scene: ProxiedBigQuery) -> None:
    def get(path: str) -> requests.Response:
        host, port = scene.proxy.front.address
        return requests.get(f"http://{host}:{port}{path}", timeout=10)

    answer = await asyncio.to_thread(get, "/bigquery/v2/projects/gatekeeper-local/datasets?x=%2F")
    assert answer.json()["kind"] == "bigquery#datasetList"
    assert (await asyncio.to_thread(get, "/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("too_many", 429, "rateLimitExceeded"),
        ("internal", 500, "internalError"),
        ("unavailable", 503, "backendError"),
    ],
)
async def test_a_status_has_bigquerys_form(
    scene: ProxiedBigQuery, name: str, code: int, reason: str
) -> None:
    async with scene.proxy.injected(name):
        error = await scene.fails(uuid.uuid4().hex, "status")
    assert isinstance(error, exceptions.GoogleAPICallError)
    assert (error.code, error.errors[0]["reason"]) == (code, reason)
    assert classify(error) in {WarehouseUnavailable, OutcomeUnknown}
    await scene.insert("status")
    assert scene.proxy.hits[name] >= 1


async def test_a_conflict_is_a_failed_job_that_stays_failed(scene: ProxiedBigQuery) -> None:
    value, job_id = uuid.uuid4().hex, uuid.uuid4().hex
    async with scene.proxy.injected("conflict"):
        error = await scene.fails(job_id, value)
    assert isinstance(error, exceptions.BadRequest)
    assert classify(error) is Conflicted
    assert error.errors[0]["reason"] == "invalidQuery"
    assert TABLE in str(error)
    passed = await scene.count(value)
    cancelled = f"{job_id}-{passed}"

    def ask() -> Any:
        return scene.client.get_job(cancelled, retry=ONCE)

    job = await asyncio.to_thread(ask)
    assert job.state == "DONE"
    assert classify(job.exception()) is Conflicted
    with pytest.raises(exceptions.BadRequest, match="concurrent update"):
        await asyncio.to_thread(job.result, retry=ONCE, job_retry=None)
    with pytest.raises(exceptions.Conflict):
        await scene.insert(value, cancelled)
    await scene.insert(value)
    assert await scene.count(value) == passed + 1


async def test_only_transactions_conflict(scene: ProxiedBigQuery) -> None:
    async with scene.proxy.injected("conflict"):
        for _ in range(4):
            await asyncio.to_thread(lambda: list(scene.client.query("SELECT 1").result()))
    assert not scene.proxy.hits


async def test_a_commit_whose_answer_is_lost_has_happened_once(scene: ProxiedBigQuery) -> None:
    value, job_id = uuid.uuid4().hex, uuid.uuid4().hex
    async with scene.proxy.injected("lose_commit"):
        error = await scene.fails(job_id, value)
        assert isinstance(error, LOST)
        assert classify(error) is OutcomeUnknown
        lost = f"{job_id}-{await asyncio.to_thread(_passed, scene, value, job_id)}"

        def outcome() -> Any:
            return scene.client.get_job(lost, retry=ONCE)

        async with asyncio.timeout(10):
            while True:
                try:
                    job = await asyncio.to_thread(outcome)
                except exceptions.NotFound:
                    continue  # cut off before the service had it in its table
                if job.state == "DONE":
                    break
    assert job.error_result is None
    with pytest.raises(exceptions.Conflict):
        await scene.insert(value, lost)
    assert await scene.count(value) == int(lost.rpartition("-")[2]) + 1
    assert scene.proxy.hits["lose_commit"] >= 1


async def test_a_late_job_runs_although_its_client_is_gone(upstream: str) -> None:
    address, value = f"127.0.0.1:{free_port()}", uuid.uuid4().hex
    proxy = BigQueryProxy(address, upstream, (1.0, 1.0))
    await proxy.start()
    with connect(address) as client, connect(upstream) as direct:
        scene = ProxiedBigQuery(proxy, client, direct)
        text = f"BEGIN TRANSACTION; INSERT INTO `{TABLE}` (n) VALUES (@n); COMMIT TRANSACTION;"
        config = bigquery.QueryJobConfig(
            query_parameters=[bigquery.ScalarQueryParameter("n", "STRING", value)],
            labels={"worker": "worker_07"},
        )
        waiting = asyncio.create_task(proxy.next_late_worker())
        sent = 0
        async with scene.proxy.injected("late"):
            while not waiting.done():
                sent += 1
                with suppress(requests.exceptions.Timeout):
                    await asyncio.to_thread(
                        client.query, text, config, retry=ONCE, job_retry=None, timeout=0.5
                    )
        assert await waiting == "worker_07"
        assert await scene.count(value) < sent

        async def all_there() -> bool:
            return await scene.count(value) == sent

        await eventually(all_there)
    await proxy.stop()


def _passed(scene: ProxiedBigQuery, value: str, job_id: str) -> int:
    """Return the number of the attempt that was lost: its job is the last one."""
    del value
    attempt = 0
    for attempt in range(50):
        try:
            scene.direct.get_job(f"{job_id}-{attempt + 1}", retry=ONCE)
        except exceptions.NotFound:
            break
    return attempt


async def test_a_delay_only_delays(scene: ProxiedBigQuery) -> None:
    value = uuid.uuid4().hex
    async with scene.proxy.injected("delay"):
        await scene.insert(value)
    assert await scene.count(value) == 1
    assert scene.proxy.hits["delay"] >= 1


async def test_a_refused_connection_is_accepted_again_afterwards(scene: ProxiedBigQuery) -> None:
    await scene.insert("refuse")
    async with scene.proxy.injected("refuse"):
        for _ in range(2):  # the first may be the cut of a connection kept open
            error = await scene.fails(uuid.uuid4().hex, "refuse")
            assert isinstance(error, requests.exceptions.ConnectionError)
        assert "refused" in str(error)
    await scene.insert("refuse")
    assert scene.proxy.hits["refuse"] >= 1


async def test_a_reset_ends_a_request_in_flight(scene: ProxiedBigQuery) -> None:
    async with scene.proxy.injected("reset"):
        error = await scene.fails(uuid.uuid4().hex, "reset")
        assert isinstance(error, LOST)
    await scene.insert("reset")
    assert scene.proxy.hits["reset"] >= 1


async def test_a_service_that_is_gone_is_a_lost_connection() -> None:
    proxy = BigQueryProxy(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    await proxy.start()
    host, port = proxy.front.address
    with connect(f"{host}:{port}") as client, pytest.raises(requests.exceptions.ConnectionError):
        await asyncio.to_thread(client.get_table, TABLE, retry=ONCE)
    await proxy.stop()
