"""The composition root: the parts of a server process, and its routes."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime import process
from ops.runtime.api_keys import KeyRing
from ops.runtime.contracts_in_force import ContractsInForce
from ops.runtime.message_key import read_message_key
from ops.runtime.metrics_export import exporting
from ops.runtime.settings import Settings
from server import api, console, http
from server.contracts import CONTRACT_GATE, open_contract_gate
from server.idempotency import open_registry
from server.provisioned_topic import connect_topic
from server.publish import Destination, Publisher
from server.spool import open_spool

Connect = Callable[[Settings], AbstractAsyncContextManager[Destination]]


def create_app(
    settings: Settings,
    connect: Connect = connect_topic,
    *,
    body_seconds: float = http.BODY_SECONDS,
) -> web.Application:
    """Put a server together; nothing connects before it starts.

    Raises InvalidKeys, and InvalidContracts where there are no contracts to go by.
    """
    app = web.Application(middlewares=[http.request_middleware])
    if settings.otel_exporter_otlp_endpoint is not None:
        app.middlewares.insert(0, http.trace_request)
    if settings.api_keys_file is None:
        app.middlewares.append(http.local_access.guard(settings))
    if settings.cors_origins:
        http.cors.allow_origins(app, settings.cors_origins)
    if settings.api_keys_file is not None:
        app[http.KEYS] = KeyRing(settings.api_keys_file)
        app[http.RATE_LIMITS] = http.RateLimits(settings.state_dir / "rates")
        app.middlewares.extend((http.authenticate, http.limit_rate))
    app[http.SECONDS] = http.ConnectionSeconds(settings.keep_alive_seconds)
    app[http.LOOP_TURNS] = http.FairTurns()
    app[http.RENDER_REFUSAL] = api.render_refusal
    app[http.IN_FLIGHT] = http.InFlight(settings.max_in_flight, settings.max_in_flight_bytes)
    app[http.BODY_LIMITS] = http.BodyLimits(
        settings.max_body_bytes, body_seconds, settings.ndjson_max_bytes, settings.ndjson_max_lines
    )
    app[api.DOCUMENT] = api.render_document(api.ROUTES, settings)
    app[console.CONSOLE] = console.Console(settings)
    contracts = ContractsInForce.load(settings, hides=True)

    for route in api.ROUTES:
        _add(app, route.method, route.pattern or route.path, route.handler)
    for method, path, handler in console.ROUTES:
        _add(app, method, path, handler)

    # They end in reverse order: the last metrics are pushed after the last transaction is out.
    parts = (
        push_metrics,
        read_ledger,
        partial(check_contracts, contracts),
        partial(publish, connect),
    )
    app.cleanup_ctx.extend(partial(part, settings) for part in parts)
    app.cleanup_ctx.append(app[console.CONSOLE].run)
    return app


def _add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    for each in (method, "HEAD") if method == "GET" else (method,):
        app.router.add_route(each, path, handler, expect_handler=http.defer_100_continue)


async def push_metrics(settings: Settings, _: web.Application) -> AsyncIterator[None]:
    async with exporting(settings, "gatekeeper_server", process.name("server", settings)):
        yield


async def read_ledger(settings: Settings, app: web.Application) -> AsyncIterator[None]:
    with api.open_ledger(settings) as app[api.LEDGER]:
        yield


async def check_contracts(
    contracts: ContractsInForce, settings: Settings, app: web.Application
) -> AsyncIterator[None]:
    async with open_contract_gate(settings, contracts) as app[CONTRACT_GATE]:
        yield


async def publish(
    connect: Connect, settings: Settings, app: web.Application
) -> AsyncIterator[None]:
    with ThreadPoolExecutor(1, "validation") as executor:
        async with (
            connect(settings) as destination,
            open_spool(settings, destination) as spool,
            open_registry(settings) as registry,
        ):
            publisher = Publisher(destination, spool=spool)
            app[api.INGEST] = api.Ingest(
                publisher,
                registry,
                executor,
                app[CONTRACT_GATE],
                settings.lanes,
                message_key=read_message_key(settings),
                traced=settings.otel_exporter_otlp_endpoint is not None,
            )
            readiness = app[api.READINESS] = api.Readiness(publisher, destination, spool)
            yield
            await publisher.drain()
            readiness.close()
