"""The server as supervisord runs it, with the embedded services behind it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.runtime import clients
from ops.runtime.settings import Settings
from tests.support.rejected_rows import Reject, rejecter
from tests.support.server import LIMIT, Server, services, serving


@pytest.fixture(scope="session")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings that lead to the services."""
    with services(tmp_path_factory.mktemp("services")) as variables:
        yield variables


@pytest.fixture(scope="session")
def server(around: dict[str, str]) -> Iterator[Server]:
    """An open server whose bodies hold LIMIT bytes."""
    with serving({**around, "MAX_BODY_BYTES": str(LIMIT)}) as running:
        yield running


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "api-keys"


@pytest.fixture(scope="session")
def guarded(around: dict[str, str], keys_file: Path) -> Iterator[Server]:
    """A server that asks for keys, and whose topic is not there."""
    own = {"API_KEYS_FILE": str(keys_file), "TOPIC_ID": "nowhere"}
    with serving({**around, **own}) as running:
        yield running


@pytest.fixture(scope="session")
def reject(around: dict[str, str]) -> Reject:
    """Write a row of a rejected transaction as a worker does."""
    return rejecter(Settings.parse(around))


@pytest.fixture
def pulled(around: dict[str, str]) -> Callable[[str], Any]:
    """Pull until the message of an id comes, past those that the other tests sent."""
    settings = Settings.parse(around)
    path = settings.subscription_path

    async def pull(wanted: str) -> Any:
        client = clients.subscriber(settings)
        try:
            async with asyncio.timeout(120):
                while True:
                    answer = await client.pull(subscription=path, max_messages=1_000)
                    received = answer.received_messages
                    # What is not acknowledged comes again, before what has not come yet.
                    await client.acknowledge(
                        subscription=path, ack_ids=[each.ack_id for each in received]
                    )
                    for each in received:
                        if each.message.attributes["id"] == wanted:
                            return each.message
        finally:
            await clients.close(client)

    return lambda wanted: asyncio.run(pull(wanted))
