"""The local services while they cannot write to any file, and afterwards."""

import asyncio
import contextlib
import resource
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type

from ops.rig import Service, eventually, free_port, full_disk, wait_until
from ops.runtime.warehouse_errors import (
    OutcomeUnknown,
    WarehouseUnavailable,
    classify,
)
from tests.support.bigquery_client import connect
from tests.support.pubsub import Client, local_server, texts

TABLE = "gatekeeper-local.gatekeeper.t"
# Takes half a second or so before it has something to write.
SLOW = """SELECT MAX(a * b) FROM UNNEST(GENERATE_ARRAY(1, 15000)) AS a,
  UNNEST(GENERATE_ARRAY(1, 15000)) AS b"""
ONCE = Retry(predicate=if_exception_type())


def limit(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_FSIZE)[0]


@asynccontextmanager
async def full(pid: int) -> AsyncIterator[None]:
    """Make the disk full for this process for the block."""
    before = limit(pid)
    filling = asyncio.create_task(full_disk.fill([pid], 60))
    await eventually(lambda: limit(pid) == 0)
    try:
        yield
    finally:
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await filling
    assert limit(pid) == before


async def test_pubsub_confirms_nothing_that_it_cannot_write(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    with local_server(tmp_path / "pubsub", port) as server:
        server.wait_for_port(address)
        client = Client(address)
        topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
        await client.publish(topic, ["acked", "kept"], key="k")
        acked, _ = await client.pull(subscription, 2)
        async with full(server.pid):
            for _ in range(3):
                with pytest.raises(exceptions.ServiceUnavailable, match="storage failed"):
                    await client.publish(topic, ["during"], key="k")
                with pytest.raises(exceptions.ServiceUnavailable, match="storage failed"):
                    await client.subscriber.acknowledge(
                        subscription=subscription, ack_ids=[acked.ack_id], retry=None, timeout=5
                    )
        assert server.alive
        await client.ack(subscription, [acked])
        await client.publish(topic, ["after"], key="k")
        await client.channel.close()
        server.kill()
        server.start()
        server.wait_for_port(address)
        client = Client(address)
        assert texts(await client.pull(subscription, 2)) == ["kept", "after"]
        await client.channel.close()


async def test_bigquery_reports_that_its_storage_failed_and_commits_again_afterwards(
    tmp_path: Path,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    variables = {"BIGQUERY_EMULATOR_HOST": address, "STATE_DIR": str(tmp_path), "PROJECT_ID": ""}
    client = connect(address)

    def run(sql: str, job_id: str = "") -> Any:
        job_id = job_id or uuid.uuid4().hex
        job = client.query(sql, job_id=job_id, retry=ONCE, job_retry=None, timeout=20)
        return job.result(retry=ONCE, job_retry=None, timeout=20)

    def insert(value: str) -> Exception | None:
        sql = f"BEGIN TRANSACTION; INSERT INTO `{TABLE}` (n) VALUES ('{value}'); COMMIT TRANSACTION"
        try:
            run(sql)
        except Exception as error:  # noqa: BLE001 - the test checks it
            return error
        return None

    with Service.module("ops.local.bigquery", **variables) as service, client:
        service.wait_for_port(address)
        await asyncio.to_thread(run, f"CREATE TABLE `{TABLE}` (n STRING)")
        assert await asyncio.to_thread(insert, "before") is None
        writing = asyncio.create_task(asyncio.to_thread(insert, "under way"))
        async with full(service.pid):
            errors = [await writing] + [await asyncio.to_thread(insert, "no") for _ in range(4)]
            for error in errors[1:]:
                assert error is not None
                assert classify(error) in {WarehouseUnavailable, OutcomeUnknown}
            assert any("storage failed" in str(error) for error in errors)

        async def committed() -> bool:
            return await asyncio.to_thread(insert, "after") is None

        await eventually(committed)
        # A job whose end could not be written down has one nonetheless.
        job_id = uuid.uuid4().hex
        unrecorded = asyncio.create_task(asyncio.to_thread(run, SLOW, job_id))

        async def state() -> str | None:
            try:
                return str((await asyncio.to_thread(client.get_job, job_id, retry=ONCE)).state)
            except exceptions.GoogleAPICallError:
                return None

        async def is_running() -> bool:
            return await state() == "RUNNING"

        async def is_done() -> bool:
            return await state() == "DONE"

        await eventually(is_running)
        async with full(service.pid):
            (error,) = await asyncio.gather(asyncio.wait_for(unrecorded, 3), return_exceptions=True)
            assert error is not None
        await eventually(is_done)
        rows = {row[0] for row in await asyncio.to_thread(run, f"SELECT n FROM `{TABLE}`")}
        assert rows - {"under way"} == {"before", "after"}
        assert service.alive


async def test_a_log_that_cannot_be_written_stops_no_process(tmp_path: Path) -> None:
    logging_on = (
        "import time; from ops.runtime import log; from ops.runtime.settings import Settings\n"
        "log.setup('x', Settings.load()); logger = log.get('x')\n"
        "while True: logger.info('alive'); time.sleep(0.01)"
    )
    with Service([sys.executable, "-c", logging_on]) as service:
        await eventually(lambda: "alive" in service.output)
        async with full(service.pid):
            await asyncio.sleep(0)
            size = len(service.output)
            give_up = time.monotonic() + 0.3
            while time.monotonic() < give_up:
                assert service.alive
                await asyncio.sleep(0.02)
            assert len(service.output) == size
        await eventually(lambda: len(service.output) > size)
    del tmp_path


@pytest.mark.parametrize(
    "command", [["sleep", "60"], ["prometheus-pushgateway", "--web.listen-address=127.0.0.1:0"]]
)
def test_a_process_that_would_be_killed_is_skipped(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} on PATH")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        comm = Path(f"/proc/{process.pid}/comm")
        wait_until(lambda: command[0].startswith(comm.read_text().strip()))
        assert not full_disk.survives(process.pid)
        asyncio.run(_spared(process.pid))
        process.kill()


async def _spared(pid: int) -> None:
    filling = asyncio.create_task(full_disk.fill([pid], 0.05))
    await asyncio.sleep(0.01)
    assert limit(pid) != 0
    await filling


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    asyncio.run(full_disk.fill([process.pid], 0.01))
