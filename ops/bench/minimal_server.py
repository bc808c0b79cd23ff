"""`python -m ops.bench.minimal_server`: the smallest HTTP server that takes transactions.

aiohttp, uvloop, orjson and one voluptuous schema compiled once; it checks shapes, publishes
nothing, logs nothing, counts nothing. It listens on the socket that is its standard input.
"""

import re
import sys
from typing import Any

import orjson
import uvloop
import voluptuous as vol
from aiohttp import web

from ops.runtime import process
from server import lifecycle

_FILLED = vol.All(list, vol.Length(min=1))
_COLUMNS = {
    "col_names": vol.All([str], vol.Length(min=1)),
    "col_types": vol.All([str], vol.Length(min=1)),
    "col_values": _FILLED,
}
_TABLE = vol.Match(re.compile("^[A-Za-z][A-Za-z0-9_]*$"))
_INSERT = {"operation": "insert", "table": _TABLE, **_COLUMNS}
_DELETE = {"operation": "delete", "table": _TABLE, "value_to_delete": _COLUMNS}


def _meant(value: Any, alternatives: list[Any]) -> list[Any]:
    return [each for each in alternatives if each["operation"] == value.get("operation")]


SCHEMA = vol.Schema(
    {"activities": [vol.Union(_INSERT, _DELETE, discriminant=_meant)]}, required=True
)


async def accept(request: web.Request) -> web.Response:
    """Check a transaction and answer it."""
    payload = orjson.loads(await request.read())
    try:
        SCHEMA(payload)
    except vol.Invalid as error:
        body = orjson.dumps({"status": 400, "error": str(error), "payload": payload})
        return web.Response(status=400, body=body, content_type="application/json")
    body = orjson.dumps(
        {"status": 200, "message": "Valid Schema", "error": None, "payload": payload}
    )
    return web.Response(body=body, content_type="application/json")


async def main() -> None:
    """Serve until SIGTERM."""
    listener = lifecycle.inherited_listener()
    if listener is None:
        sys.exit("the sketch wants a listening socket as its standard input")
    app = web.Application()
    app.router.add_post("/api/activities", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=lifecycle.LISTEN_BACKLOG).start()
    await process.stop_event().wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
