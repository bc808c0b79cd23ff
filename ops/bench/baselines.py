"""`python -m ops.bench.baselines null|futures`: the real server with another publisher.

`null` confirms immediately and publishes nothing. `futures` gives each message to Google's
PublisherClient and waits for its future. Its standard input is its listening socket.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, cast

from aiohttp import web
from google.cloud import pubsub_v1  # type: ignore[attr-defined]  # it has no types

import schema
from ops.runtime import log, process
from ops.runtime.settings import Settings
from server import lifecycle
from server.api import INGEST, Ingest
from server.app import create_app
from server.contracts import CONTRACT_GATE
from server.idempotency import open_registry
from server.lifecycle import serve

if TYPE_CHECKING:
    from server.publish import Publisher


class BaselinePublisher(Protocol):
    """The part of a publisher that the handler uses."""

    failures: int

    def enqueue(self, message: schema.Message) -> asyncio.Future[bool]:
        """Take a message; the future's result is whether it was spooled: always False."""


class NullPublisher:
    failures = 0

    def __init__(self, _: Settings) -> None:
        self._loop = asyncio.get_running_loop()

    def enqueue(self, _: schema.Message) -> asyncio.Future[bool]:
        done: asyncio.Future[bool] = self._loop.create_future()
        done.set_result(False)
        return done


class FuturesPublisher:
    """Google's own client, with its own batches and threads."""

    failures = 0

    def __init__(self, settings: Settings) -> None:
        options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
        self._client = pubsub_v1.PublisherClient(publisher_options=options)
        self._topic = settings.topic_path

    def enqueue(self, message: schema.Message) -> asyncio.Future[bool]:
        # `publish` has no other way to take attributes, and this one has a parameter's name.
        attributes = {k: v for k, v in message.attributes.items() if k != "ordering_key"}
        lane = schema.lane_name(message.lane)
        future = self._client.publish(self._topic, message.data, ordering_key=lane, **attributes)
        return asyncio.ensure_future(_confirmed(asyncio.wrap_future(future)))


async def _confirmed(future: asyncio.Future[str]) -> bool:
    await future
    return False


BASELINES: dict[str, Callable[[Settings], BaselinePublisher]] = {
    "null": NullPublisher,
    "futures": FuturesPublisher,
}


def replace_publisher(app: web.Application, settings: Settings, name: str) -> None:
    async def replaced(app: web.Application) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "validation") as executor:
            publisher = cast("Publisher", BASELINES[name](settings))  # all that the handler uses
            async with open_registry(settings) as registry:
                app[INGEST] = Ingest(publisher, registry, executor, app[CONTRACT_GATE])
                yield

    app.cleanup_ctx.append(replaced)


async def main(settings: Settings, name: str) -> int:
    log.setup(process.name("server", settings), settings)
    listener = lifecycle.inherited_listener()
    if listener is None:
        sys.exit("baselines needs a listening socket as its standard input")
    app = create_app(settings)
    replace_publisher(app, settings, name)
    await serve(app, listener, process.stop_event())
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.bench.baselines", description=__doc__)
    parser.add_argument("baseline", choices=BASELINES)
    chosen = parser.parse_args().baseline
    sys.exit(process.run(lambda: main(process.settings_or_exit(), chosen)))
