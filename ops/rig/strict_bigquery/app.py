"""The application: BigQuery's methods, and the report under /_strict."""

from collections.abc import AsyncIterator, Callable
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.strict_service import StrictBigQuery, StrictSetup

_MAX_READ: Final = 64 * 1024 * 1024
_BASE: Final = "/bigquery/v2/projects/{project}"


def create_app(setup: StrictSetup) -> web.Application:
    service = StrictBigQuery(setup)
    app = web.Application(client_max_size=_MAX_READ, middlewares=[_answer_refusals(service)])
    app.cleanup_ctx.append(_life(service))
    _add_report(app, service)
    app.router.add_post(f"{_BASE}/jobs", service.submit)
    app.router.add_post(f"{_BASE}/queries", service.query)
    app.router.add_get(f"{_BASE}/jobs/{{job}}", service.get)
    app.router.add_post(f"{_BASE}/jobs/{{job}}/cancel", service.cancel)
    app.router.add_get(f"{_BASE}/queries/{{job}}", service.results)
    app.router.add_route("*", "/{path:.*}", service.pass_on)
    return app


def _add_report(app: web.Application, service: StrictBigQuery) -> None:
    async def report(_: web.Request) -> web.Response:
        body = orjson.dumps(service.report.as_json())
        return web.Response(body=body, content_type="application/json")

    async def reset(_: web.Request) -> web.Response:
        service.report.reset()
        service.settled.reset()
        return web.Response(status=204)

    async def settled(_: web.Request) -> web.Response:
        body = orjson.dumps(service.settled.stored, default=tuple)
        return web.Response(body=body, content_type="application/json")

    app.router.add_get("/_strict/report", report)
    app.router.add_delete("/_strict/report", reset)
    app.router.add_get("/_strict/settled", settled)


def _answer_refusals(service: StrictBigQuery) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            if refused.of_request:
                service.report.refusals[refused.rule] += 1  # a job counts its own
            body = orjson.dumps(refused.body)
            return web.Response(status=refused.status, body=body, content_type="application/json")

    return middleware


def _life(service: StrictBigQuery) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(_: web.Application) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    return life
