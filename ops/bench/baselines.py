"""`python -m ops.bench.baselines null|futures`: the server itself, with another way to publish.

`null` confirms at once and publishes nothing; `futures` hands each message to Google's
PublisherClient and waits for its future. All else is the server as it is, on the listening socket
that is its standard input.
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
from server.lifecycle import serve

if TYPE_CHECKING:
    from server.publish.publisher import Publisher


class Rival(Protocol):
    """What the handler asks of a publisher."""

    failures: int

    def hand_over(self, message: schema.Message) -> asyncio.Future[bool]:
        """Take a message; the future is its outcome."""


class Null:
    """Confirms at once."""

    failures = 0

    def __init__(self, _: Settings) -> None:
        self._loop = asyncio.get_running_loop()

    def hand_over(self, _: schema.Message) -> asyncio.Future[bool]:
        """Return a future that is done."""
        done: asyncio.Future[bool] = self._loop.create_future()
        done.set_result(False)  # not spooled
        return done


class Futures:
    """Publishes through Google's own client, with its own batches and threads."""

    failures = 0

    def __init__(self, settings: Settings) -> None:
        options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
        self._client = pubsub_v1.PublisherClient(publisher_options=options)
        self._topic = settings.topic_path

    def hand_over(self, message: schema.Message) -> asyncio.Future[bool]:
        """Return the client's future as one of the loop's."""
        attributes = message.attributes
        key = message.ordering_key
        future = self._client.publish(self._topic, message.data, ordering_key=key, **attributes)
        return asyncio.ensure_future(_confirmed(asyncio.wrap_future(future)))


async def _confirmed(future: asyncio.Future[str]) -> bool:
    await future
    return False  # not spooled


RIVALS: dict[str, Callable[[Settings], Rival]] = {"null": Null, "futures": Futures}


def put_in_place(app: web.Application, settings: Settings, name: str) -> None:
    """Make the application publish through a rival."""

    async def replaced(app: web.Application) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "validation") as executor:
            # It is all that the handler asks of a publisher, which is a class and no protocol.
            publisher = cast("Publisher", RIVALS[name](settings))
            app[INGEST] = Ingest(publisher, executor)
            yield

    app.cleanup_ctx.append(replaced)


async def main(settings: Settings, name: str) -> int:
    """Serve until SIGTERM."""
    log.setup(process.name("server"), settings)
    listener = lifecycle.inherited_listener()
    if listener is None:
        sys.exit("a rival wants a listening socket as its standard input")
    app = create_app(settings)
    put_in_place(app, settings, name)
    await serve(app, listener, process.stop_event())
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.bench.baselines", description=__doc__)
    parser.add_argument("rival", choices=RIVALS)
    chosen = parser.parse_args().rival
    sys.exit(process.run(lambda: main(process.settings_or_exit(), chosen)))
