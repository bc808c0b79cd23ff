"""The composition root: everything a server process is made of, and the routes."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime import clients, process
from ops.runtime.api_keys import KeyRing
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings
from server.api import activities as ingest
from server.api import batch, health, openapi, status
from server.api import settlements as ledger
from server.api.activities import INGEST, Ingest
from server.api.health import READINESS, Readiness
from server.api.openapi import DOCUMENT, written
from server.api.settlements import Ledger
from server.api.status import LEDGER
from server.console import app as console
from server.console.app import CONSOLE, Console
from server.http import cors
from server.http.auth import KEYS, authenticate
from server.http.body import no_invitation
from server.http.limits import BUDGET, Budget
from server.http.middleware import GATE, Gate, attend
from server.publish.publisher import Destination, Publisher
from server.publish.topic import Topic
from server.spool import assembly as spooling

ROUTES: Final = (
    *ingest.ROUTES,
    *batch.ROUTES,
    *status.ROUTES,
    *health.ROUTES,
    *openapi.ROUTES,
)

Connect = Callable[[Settings], AbstractAsyncContextManager[Destination]]


def create_app(settings: Settings, connect: Connect | None = None) -> web.Application:
    """Put a server together; nothing connects before it starts. `connect` yields the topic."""
    app = web.Application(middlewares=[attend])
    app[GATE] = Gate(settings.max_in_flight)
    app[BUDGET] = Budget(settings.max_in_flight_bytes)
    app[CONSOLE] = Console(settings)
    app.on_cleanup.append(app[CONSOLE].close)
    if settings.cors_origins:
        app.middlewares.append(cors.allowing(settings.cors_origins))
        app.on_response_prepare.append(cors.name_origin)
    if settings.api_keys_file is not None:
        app[KEYS] = KeyRing(settings.api_keys_file)
        app.middlewares.append(authenticate)

    app[DOCUMENT] = written(ROUTES, settings)
    for route in ROUTES:
        add(app, route.method, route.pattern or route.path, route.handler)
    # Pages for people: no part of the API, so not in its description.
    add(app, "GET", "/", console.page)
    add(app, "GET", "/console/state", console.state)

    async def pushed(_: web.Application) -> AsyncIterator[None]:
        async with Pusher(settings, "gatekeeper_server", process.name("server")).running():
            yield

    async def looked_up(app: web.Application) -> AsyncIterator[None]:
        client = clients.warehouse(settings)
        threads = ThreadPoolExecutor(ledger.THREADS, "ledger")
        app[LEDGER] = Ledger(ledger.looking_up(client, settings.dataset_path), threads)
        yield
        threads.shutdown(wait=False, cancel_futures=True)
        client.close()  # type: ignore[no-untyped-call]

    async def published(app: web.Application) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "judge") as judges:
            async with (
                (connect or topic)(settings) as destination,
                spooling.opened(settings, destination) as spool,
            ):
                publisher = Publisher(destination, spool=spool)
                app[INGEST] = Ingest(publisher, judges, settings.max_body_bytes)
                app[READINESS] = Readiness(publisher, destination, spool)
                yield
                await publisher.drain()

    # They end in the opposite order: the last transaction is out before the last numbers are.
    app.cleanup_ctx.extend([pushed, looked_up, published])
    return app


def add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    """Put a route in place, in the order of calls."""
    app.router.add_route(method, path, handler, expect_handler=no_invitation)


@asynccontextmanager
async def topic(settings: Settings) -> AsyncIterator[Topic]:
    """Connect to the topic of the settings, in the cloud or local."""
    client = clients.publisher(settings)
    try:
        yield Topic(client, settings.topic_path)
    finally:
        await clients.close(client)
