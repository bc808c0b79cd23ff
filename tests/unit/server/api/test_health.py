"""Readiness is whether a transaction sent now would be accepted, by Pub/Sub or by the spool."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from ops.runtime.settings import Settings
from schema import Message
from server.api.health import Readiness
from server.publish import Publisher, PublishFailed
from server.spool import SpoolWriter, open_spool
from tests.support.server_in_process import FakeTopic, rpc_error

AWAY = rpc_error(grpc.StatusCode.UNAVAILABLE)
REFUSED = rpc_error(grpc.StatusCode.NOT_FOUND)


class UnreachableTopic(FakeTopic):
    """Fails every call with `check_error` while it is set."""

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        if self.check_error is not None:
            raise self.check_error
        await super().publish(messages, timeout)


class ReadyServer:
    """A publisher with its spool, and what a POST and /readyz would answer."""

    def __init__(self, topic: FakeTopic, spool: SpoolWriter | None) -> None:
        self._publisher = Publisher(topic, spool=spool)
        self.topic = topic
        self.spool = spool
        self.readiness = Readiness(self._publisher, topic, spool)

    async def post(self, size: int = 100) -> bool:
        message = Message(b"x" * size, "id", "", "2026-01-01T00:00:00Z", "", "k")
        try:
            await self._publisher.enqueue(message)
        except PublishFailed:
            return False
        return True

    async def ready(self) -> bool:
        """Ask as if nothing had been asked before."""
        readiness = Readiness(self._publisher, self.topic, self.spool)
        return (await readiness.state()).fault is None


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ReadyServer]:
    topic = UnreachableTopic()
    settings = Settings.parse({"STATE_DIR": str(tmp_path), "SPOOL_MAX_BYTES": "20000"})
    async with AsyncExitStack() as stack:
        yield ReadyServer(topic, await stack.enter_async_context(open_spool(settings, topic)))


def degraded(part: str) -> float | None:
    return REGISTRY.get_sample_value("gatekeeper_degraded", {"part": part})


async def test_with_pubsub_there_nothing_is_degraded(server: ReadyServer) -> None:
    assert await server.readiness.state() == (None, {})
    assert (degraded("pubsub"), degraded("spool")) == (0, 0)


async def test_with_pubsub_away_and_room_in_the_spool_it_is_ready(server: ReadyServer) -> None:
    server.topic.check_error = AWAY
    fault, parts = await server.readiness.state()
    assert fault is None
    assert "UNAVAILABLE" in parts["pubsub"]
    assert degraded("pubsub") == 1

    assert await server.post()
    assert await server.ready()
    assert "spool" in (await server.readiness.state()).degraded


async def test_with_a_full_spool_neither_a_post_nor_readiness_is_200(server: ReadyServer) -> None:
    server.topic.check_error = AWAY
    for _ in range(5):
        assert await server.post(1_000)
        assert await server.ready()
    for size in (1_000, 100, 1):
        while await server.post(size):
            pass
    assert not await server.ready()
    assert degraded("spool") == 1


async def test_where_pubsub_refuses_permanently_the_spool_does_not_help(
    server: ReadyServer,
) -> None:
    server.topic.check_error = REFUSED
    assert not await server.post()
    assert not await server.ready()


async def test_without_a_spool_pubsub_alone_decides() -> None:
    topic = UnreachableTopic()
    server = ReadyServer(topic, None)
    assert await server.ready()
    topic.check_error = AWAY
    assert not await server.ready()
