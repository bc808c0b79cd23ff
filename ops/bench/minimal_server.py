"""`python -m ops.bench.minimal_server`: the smallest HTTP server that takes transactions.

aiohttp, uvloop, orjson and one voluptuous schema compiled once. It checks the shape and does
nothing else. Its standard input is its listening socket.
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

_NOT_EMPTY = vol.Length(min=1)
_COLUMNS = {
    "col_names": vol.All([str], _NOT_EMPTY),
    "col_types": vol.All([str], _NOT_EMPTY),
    "col_values": vol.All(list, _NOT_EMPTY),
}
_TABLE = vol.Match(re.compile("^[A-Za-z][A-Za-z0-9_]*$"))
_INSERT = {"operation": "insert", "table": _TABLE, **_COLUMNS}
_DELETE = {"operation": "delete", "table": _TABLE, "value_to_delete": _COLUMNS}
_UPDATE = {"operation": "update", "table": _TABLE, "value_to_match": _COLUMNS, **_COLUMNS}
_UPSERT = {"operation": "upsert", "table": _TABLE, "key": vol.All([str], _NOT_EMPTY), **_COLUMNS}
_OPERATIONS = (_INSERT, _DELETE, _UPDATE, _UPSERT)


def _same_operation(value: Any, alternatives: list[Any]) -> list[Any]:
    return [each for each in alternatives if each["operation"] == value.get("operation")]


_SCHEMA = vol.Schema(
    {"activities": [vol.Union(*_OPERATIONS, discriminant=_same_operation)]}, required=True
)


async def post_activities(request: web.Request) -> web.Response:
    payload = orjson.loads(await request.read())
    verdict = {"status": 200, "message": "Valid Schema", "error": None, "payload": payload}
    try:
        _SCHEMA(payload)
    except vol.Invalid as error:
        verdict = {"status": 400, "error": str(error), "payload": payload}
    return web.Response(
        status=verdict["status"], body=orjson.dumps(verdict), content_type="application/json"
    )


async def main() -> None:
    listener = lifecycle.inherited_listener()
    if listener is None:
        sys.exit("minimal_server needs a listening socket as its standard input")
    app = web.Application()
    app.router.add_post("/api/activities", post_activities)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=lifecycle.LISTEN_BACKLOG).start()
    await process.stop_event().wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
