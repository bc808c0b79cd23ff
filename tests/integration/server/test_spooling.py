"""Real servers and the real local Pub/Sub, which goes away and comes back."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ops.commands.provision import subscriptions
from ops.rig import Service, eventually, free_port
from ops.runtime.settings import Settings
from server.spool import read_summary, spool_folder
from server.spool.state import EMPTY, SpoolFlag
from tests.support.pubsub import Client
from tests.support.server import Server
from tests.support.server_in_process import INSERT, NOWHERE, ledger_seen

KEYS = 4


class Around:
    """A Pub/Sub server with the gate's topic and a subscription; gates that publish to it."""

    def __init__(self, stack: ExitStack, state: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.variables = {
            "PROJECT_ID": "",
            "STATE_DIR": str(state),
            "PUBSUB_EMULATOR_HOST": self.address,
            "PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE,
            "METRICS_PUSH_SECONDS": "300",
        }
        self.settings = Settings.parse(self.variables)
        ledger_seen(self.settings)
        self.subscription = ""
        self._stack = stack
        self.pubsub = stack.enter_context(Service.module("ops.local.pubsub", **self.variables))
        self.pubsub.wait_for_port(self.address)

    async def provision(self) -> None:
        await subscriptions.ensure(self.settings)
        self.subscription = self.settings.subscription_path

    def server(self, **variables: str) -> Server:
        server = Server({**self.variables, **variables})
        self._stack.callback(server.close)
        self._stack.enter_context(server)
        server.ready()
        return server

    def pubsub_returns(self) -> None:
        self.pubsub.start()
        self.pubsub.wait_for_port(self.address)

    @property
    def flag(self) -> int:
        flag = SpoolFlag(spool_folder(self.settings) / "flag")
        try:
            return flag.state
        finally:
            flag.close()

    async def emptied(self) -> None:
        await eventually(lambda: self.flag == EMPTY, what="the spool is empty")

    async def arrived(self, count: int) -> dict[str, list[int]]:
        """Return the numbers of each key's first copies, in the order in which they came."""
        seen: set[str] = set()
        numbers: dict[str, list[int]] = {}
        client = Client(self.address)
        try:
            async with client.stream(self.subscription) as stream:

                async def enough() -> bool:
                    for each in stream.received[len(taken) :]:
                        taken.append(each)
                        message = each.message
                        if message.attributes["id"] not in seen:
                            seen.add(message.attributes["id"])
                            numbers.setdefault(message.attributes["ordering_key"], []).append(
                                json.loads(message.data)["activities"][0]["col_values"][0]
                            )
                    return len(seen) >= count

                taken: list[Any] = []
                await eventually(enough, what=f"{count} messages")
        finally:
            await client.channel.close()
        return numbers


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def around(stack: ExitStack, tmp_path: Path) -> Around:
    around = Around(stack, tmp_path)
    await around.provision()
    return around


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        yield session


def transaction(key: int, number: int) -> bytes:
    insert = {**INSERT, "table": f"t{key}", "col_values": [number, "x"]}
    return json.dumps({"activities": [insert]}).encode()


async def post(session: aiohttp.ClientSession, server: Server, body: bytes) -> int:
    async with session.post(server.url + "/api/activities", data=body) as answer:
        await answer.read()
        return answer.status


class Load:
    """Clients that send a key's transactions one after another, to the servers in turn."""

    def __init__(self, session: aiohttp.ClientSession, *servers: Server) -> None:
        self.sent = dict.fromkeys((f"t{key}" for key in range(KEYS)), 0)
        self.slowest = 0.0
        self.statuses: set[int] = set()
        self._session = session
        self._servers = servers
        self._done = False
        self._tasks = [asyncio.create_task(self._client(key)) for key in range(KEYS)]

    async def _client(self, key: int) -> None:
        while not self._done:
            number = self.sent[f"t{key}"]
            server = self._servers[number % len(self._servers)]
            began = time.monotonic()
            self.statuses.add(await post(self._session, server, transaction(key, number)))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.sent[f"t{key}"] += 1

    async def more(self, count: int = 100) -> None:
        """Return when `count` more have been answered."""
        before = self.total
        await eventually(lambda: self.total >= before + count, what="the load goes on")

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    async def end(self) -> None:
        self._done = True
        await asyncio.gather(*self._tasks)

    @property
    def expected(self) -> dict[str, list[int]]:
        return {key: list(range(count)) for key, count in self.sent.items()}


async def test_no_client_notices_an_outage_and_all_arrives_in_order(
    around: Around, session: aiohttp.ClientSession
) -> None:
    one, other = around.server(), around.server()
    load = Load(session, one, other)
    await load.more()
    around.pubsub.kill()
    await load.more(300)

    async def degraded() -> str:
        status, answer, _ = await asyncio.to_thread(one.ask, "/readyz")
        assert status == 200  # the spool takes transactions
        why: str = answer["degraded"].get("pubsub", "")
        return why

    assert "Pub/Sub would not take" in await eventually(degraded, what="the server reports it")

    around.pubsub_returns()
    await around.emptied()  # under load
    await load.more()
    await load.end()

    assert load.statuses == {200}
    assert await around.arrived(load.total) == load.expected
    (line,) = [x for x in one.output.splitlines() if '"spooled":true' in x][:1]
    assert json.loads(line)["status"] == 200


async def test_a_pubsub_that_hangs_holds_clients_up_for_seconds_and_loses_nothing(
    around: Around, session: aiohttp.ClientSession
) -> None:
    load = Load(session, around.server(), around.server())
    await load.more()
    around.pubsub.signal(signal.SIGSTOP)
    await load.more(200)
    around.pubsub.signal(signal.SIGCONT)
    await around.emptied()
    await load.more()
    await load.end()

    assert load.statuses == {200}
    assert load.slowest < 10  # the call's deadline of 4 s, on a machine with other work
    assert await around.arrived(load.total) == load.expected


async def test_what_a_killed_server_spooled_is_published_by_the_other(
    around: Around, session: aiohttp.ClientSession
) -> None:
    one, other = around.server(), around.server()
    around.pubsub.kill()
    for number in range(20):
        assert await post(session, one, transaction(0, number)) == 200
    one.kill()
    assert await post(session, other, transaction(0, 20)) == 200

    around.pubsub_returns()
    assert await around.arrived(21) == {"t0": list(range(21))}
    await around.emptied()
    assert await post(session, other, transaction(0, 21)) == 200


async def test_kills_of_servers_under_load_lose_nothing_that_was_accepted(
    around: Around, session: aiohttp.ClientSession
) -> None:
    """The replayer is killed in its work too; copies may arrive, the first ones in order."""
    keeper = around.server()
    load = Load(session, keeper)
    for _ in range(3):
        around.pubsub.kill()
        victim = around.server()  # what it replays it shares with the keeper
        for number in range(10):
            assert await post(session, victim, transaction(9, 1_000 + number)) == 200
        await load.more(200)
        around.pubsub_returns()
        victim.kill()
    await around.emptied()
    await load.end()

    arrived = await around.arrived(load.total + 30)
    arrived.pop("t9")
    assert load.statuses == {200}
    assert arrived == load.expected


async def test_a_server_that_is_stopped_leaves_its_messages_for_the_next(around: Around) -> None:
    server = around.server()
    around.pubsub.kill()
    for number in range(5):
        body = transaction(0, number)
        status, _, _ = await asyncio.to_thread(server.ask, "/api/activities", body)
        assert status == 200
    assert await asyncio.to_thread(server.stop) == 0
    around.pubsub_returns()
    around.server()
    assert await around.arrived(5) == {"t0": list(range(5))}


async def test_a_full_spool_is_told_and_takes_again_when_it_is_empty(
    around: Around, session: aiohttp.ClientSession
) -> None:
    server = around.server(SPOOL_MAX_BYTES="5000")
    around.pubsub.kill()
    statuses = [await post(session, server, transaction(0, n)) for n in range(20)]
    accepted = statuses.count(200)
    assert 0 < accepted < 20
    assert statuses == [200] * accepted + [503] * (20 - accepted)

    around.pubsub_returns()
    await around.emptied()
    assert await post(session, server, transaction(0, accepted)) == 200
    assert await around.arrived(accepted + 1) == {"t0": list(range(accepted + 1))}


async def test_a_topic_that_is_missing_is_not_spooled_for(
    around: Around, session: aiohttp.ClientSession
) -> None:
    server = around.server(TOPIC_ID="nowhere")
    assert await post(session, server, transaction(0, 0)) == 503
    summary = read_summary(Settings.parse({**around.variables, "TOPIC_ID": "nowhere"}), 5)
    assert summary is not None
    assert summary.messages == 0
