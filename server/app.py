"""The composition root: everything a server process is made of, and the routes."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web

from ops.runtime import clients, process
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings
from server import batch, cors, ingest
from server.body import no_invitation
from server.gate import GATE, Gate, attend
from server.health import READINESS, Readiness, healthz, readyz
from server.ingest import INGEST, Ingest
from server.keys import KEYS, KeyRing, authenticate
from server.publisher import Destination, Publisher
from server.topic import Topic

Connect = Callable[[Settings], AbstractAsyncContextManager[Destination]]


def create_app(settings: Settings, connect: Connect | None = None) -> web.Application:
    """Put a server together; nothing connects before it starts. `connect` yields the topic."""
    app = web.Application(middlewares=[attend])
    app[GATE] = Gate(settings.max_in_flight)
    if settings.cors_origins:
        app.middlewares.append(cors.allowing(settings.cors_origins))
        app.on_response_prepare.append(cors.name_origin)
    if settings.api_keys_file is not None:
        app[KEYS] = KeyRing(settings.api_keys_file)
        app.middlewares.append(authenticate)

    for method, path, handler in (
        ("POST", "/api/activities", ingest.accept),
        ("POST", "/api/activities/validate", ingest.validate),
        ("POST", "/api/activities/batch", batch.accept),
        ("GET", "/healthz", healthz),
        ("GET", "/readyz", readyz),
    ):
        app.router.add_route(method, path, handler, expect_handler=no_invitation)

    async def pushed(_: web.Application) -> AsyncIterator[None]:
        async with Pusher(settings, "gatekeeper_server", process.name("server")).running():
            yield

    async def published(app: web.Application) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "judge") as judges:
            async with (connect or topic)(settings) as destination:
                publisher = Publisher(destination)
                app[INGEST] = Ingest(publisher, judges, settings.max_body_bytes)
                app[READINESS] = Readiness(publisher, destination)
                yield
                await publisher.drain()

    # They end in the opposite order: the last transaction is out before the last numbers are.
    app.cleanup_ctx.extend([pushed, published])
    return app


@asynccontextmanager
async def topic(settings: Settings) -> AsyncIterator[Topic]:
    """Connect to the topic of the settings, in the cloud or local."""
    client = clients.publisher(settings)
    try:
        yield Topic(client, settings.topic_path)
    finally:
        await clients.close(client)
