"""A process under a clock that jumps: the time of day moves, everything that waits goes on."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from ops.rig import Service, clock, free_port
from tests.support.pubsub import Client, texts

PROBE = '''
"""For each line on stdin prints the time from every source, and the result of a gRPC call"""
import asyncio, datetime, json, sys, threading, time
from datetime import datetime as early
from time import time as early_time
import grpc, uvloop

async def main():
    loop = asyncio.get_running_loop()
    channel = grpc.aio.insecure_channel(sys.argv[1])
    while await loop.run_in_executor(None, sys.stdin.readline):
        started = time.monotonic()
        async with asyncio.timeout(5):
            await asyncio.sleep(0.01)
        code = "OK"
        try:
            await channel.unary_unary("/google.pubsub.v1.Publisher/GetTopic")(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        now = datetime.datetime.now(datetime.UTC)
        assert type(now) is datetime.datetime and isinstance(now, early)
        print(json.dumps({
            "argv": sys.argv[1:],
            "times": [
                time.time(), early_time(), time.time_ns() / 1e9, now.timestamp(),
                early.now().timestamp(), time.mktime(time.localtime()),
            ],
            "monotonic": time.monotonic(), "code": code, "waited": time.monotonic() - started,
        }), flush=True)

if __name__ == "__main__":
    uvloop.run(main())
'''


class Probe:
    """The probe's process under the launcher."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        (directory / "probe_of_the_clock.py").write_text(PROBE)
        self.offset_file = directory / "offset"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ops.rig.clock", self.offset_file),
                *("probe_of_the_clock", *arguments),
            ],
            env={**os.environ, "PYTHONPATH": str(directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def off_by(self, offset: float) -> dict[str, Any]:
        """Ask until every clock is off by `offset`, for 10 seconds."""
        give_up = time.monotonic() + 10
        while True:
            answer = self.ask()
            if all(abs(t - time.time() - offset) < 3 for t in answer["times"]):
                return answer
            assert time.monotonic() < give_up, answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Our Pub/Sub server under the launcher, and its offset file."""
    directory = tmp_path_factory.mktemp("pubsub")
    port = free_port()
    address, offset_file = f"127.0.0.1:{port}", str(directory / "offset")
    command = [sys.executable, "-m", "ops.rig.clock", offset_file, "ops.local.pubsub"]
    state = str(directory / "state")
    with Service(command, PROJECT_ID="", PUBSUB_EMULATOR_HOST=address, STATE_DIR=state) as service:
        service.wait_for_port(address)
        yield address, directory / "offset"


async def test_only_the_time_of_day_jumps_and_comes_back(
    tmp_path: Path, server: tuple[str, Path]
) -> None:
    with Probe(tmp_path, server[0], "second") as probe:
        first = await asyncio.to_thread(probe.off_by, 0.0)
        assert first["argv"] == [server[0], "second"]
        for offset in (86_400.0, -3_600.5):
            jumping = asyncio.create_task(clock.jump(probe.offset_file, offset, 60))
            answer = await asyncio.to_thread(probe.off_by, offset)
            assert abs(answer["monotonic"] - time.monotonic()) < 3
            assert answer["waited"] < 3
            assert answer["code"] == "NOT_FOUND"  # the server's own answer, within the deadline
            jumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await jumping
            await asyncio.to_thread(probe.off_by, 0.0)


async def test_a_jump_ends_by_itself(tmp_path: Path) -> None:
    offset_file = tmp_path / "offset"
    await clock.jump(offset_file, 5, 0.01)
    assert clock.read(offset_file) == 0
    assert not offset_file.with_name("offset.new").exists()


def test_the_module_is_run_as_python_does(tmp_path: Path) -> None:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ops.rig.clock", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (tmp_path / "offset").write_text("31536000000")
    shown = run(tmp_path / "offset", "calendar")
    assert shown.returncode == 0
    assert " 30" in shown.stdout.splitlines()[0]  # a thousand years on
    assert run(tmp_path / "offset", "no_such_module").returncode != 0
    assert "usage" in run().stderr


async def test_leases_order_and_messages_survive_clock_jumps_of_the_pubsub_server(
    server: tuple[str, Path],
) -> None:
    address, offset_file = server
    client = Client(address)
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    async with client.stream(subscription) as stream:
        sent: list[str] = []
        for offset in (0.0, 7_200.0, -7_200.0, 0.0):
            jumping = asyncio.create_task(clock.jump(offset_file, offset, 60))
            await asyncio.sleep(4 * clock.POLL_SECONDS)
            sent += [f"{offset} {len(sent) + n}" for n in range(50)]
            await client.publish(topic, sent[-50:], key="k")
            received = await stream.receive(len(sent))
            jumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await jumping
        assert texts(received) == sent  # none came twice: no lease has run out
        published = [m.message.publish_time.timestamp() for m in received]
        assert published == sorted(published)
        assert time.time() - 60 < published[0] < published[-1] < time.time() + 60
        stream.ack(received)
    await client.channel.close()
