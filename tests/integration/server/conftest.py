"""A gate on a real socket, with a topic that the test commands."""

from collections.abc import AsyncIterator

import pytest

from ops.runtime import pushgateway
from tests.support.server_in_process import FakeTopic, GateUnderTest, gate_under_test


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
async def gate(topic: FakeTopic) -> AsyncIterator[GateUnderTest]:
    async with gate_under_test(topic, MAX_BODY_BYTES="10000", MAX_IN_FLIGHT="20") as gate:
        yield gate
