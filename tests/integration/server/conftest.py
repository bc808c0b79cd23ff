"""A server on a real socket, with a topic that the test commands."""

from collections.abc import AsyncIterator

import pytest

from ops.runtime import pushgateway
from tests.support.server_in_process import FakeTopic, InProcessServer, in_process_server


@pytest.fixture(autouse=True)
def _no_pushgateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refused push would cost its test a tenth of a second."""

    def push(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(pushgateway, "push_to_gateway", push)


@pytest.fixture
async def topic() -> FakeTopic:
    return FakeTopic()


@pytest.fixture
async def server(topic: FakeTopic) -> AsyncIterator[InProcessServer]:
    async with in_process_server(topic, MAX_BODY_BYTES="10000", MAX_IN_FLIGHT="20") as server:
        yield server
