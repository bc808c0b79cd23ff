"""`GET /api/activities/{id}`: how a transaction was settled, from the ledger."""

import json
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from schema import LEDGER_COLUMNS, LEDGER_STATES, Reason
from server.api import responses as kinds
from server.api import verdict
from server.api.activities import SOURCE
from server.api.route import Parameter, Route
from server.api.settlements import Ledger, LedgerUnavailable, Row
from server.api.verdict import HEADERS, Fault
from server.http.auth import KEYS

MAX_ID: Final = 1_024
"""Characters: an id is an attribute of a Pub/Sub message, or Pub/Sub's own."""

LEDGER: Final = web.AppKey("ledger", Ledger)


async def status(request: web.Request) -> web.StreamResponse:
    """Answer how a transaction was settled: the ledger's row, and the conflicts over its id.

    404 while it is not settled: a second or so after it was accepted, or longer when workers lag.
    """
    name = request.match_info["id"]
    if not (0 < len(name) <= MAX_ID and name.isprintable()):
        return _unknown(f"an id has 1 to {MAX_ID:,} printable characters")
    source = request.get(SOURCE, "") if KEYS in request.app else None
    try:
        rows = await request.app[LEDGER].rows(name, source)
    except LedgerUnavailable as error:
        return verdict.unavailable(str(error), 2).response()
    if not rows:
        return _unknown(
            "no transaction is settled under this id: it is unknown, or not yet applied"
        )
    return web.Response(body=json.dumps(settled(rows)).encode(), headers=HEADERS)


def _unknown(why: str) -> web.StreamResponse:
    return verdict.refusal(kinds.NOT_FOUND, Fault("transaction", why)).response()


def settled(rows: Sequence[Row]) -> dict[str, Any]:
    """Put an id's rows together: the transaction's own, and `conflicts`, those of other bodies.

    A conflict may be settled in the same instant as the transaction, so time alone does not tell.
    """
    own, *conflicts = sorted(rows, key=lambda row: row["reason"] == Reason.IDEMPOTENCY_CONFLICT)
    return {"status": 200, **own, "conflicts": conflicts}


_JSON: Final[dict[str, dict[str, Any]]] = {
    "STRING": {"type": "string"},
    "INT64": {"type": "integer"},
    "TIMESTAMP": {"type": "string", "format": "date-time"},
}


def _columns() -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for column in LEDGER_COLUMNS:
        described = {**_JSON[column.type], "description": column.description}
        if column.mode == "NULLABLE":
            described["type"] = [described["type"], "null"]
        columns[column.name] = described
    columns["state"]["enum"] = list(LEDGER_STATES)
    columns["reason"]["enum"] = [*Reason, None]
    return columns


def _result() -> dict[str, Any]:
    columns = _columns()
    row = {"type": "object", "properties": columns, "required": list(columns)}
    properties = {
        "status": {"const": 200},
        **columns,
        "conflicts": {
            "type": "array",
            "items": {**row, "additionalProperties": False},
            "description": "The rows of other bodies that came under the same id.",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ROUTES: Final = (
    Route(
        "GET",
        "/api/activities/{id}",
        status,
        (kinds.NOT_FOUND, kinds.UNAVAILABLE),
        parameters=(
            Parameter(
                "id",
                "path",
                {"type": "string", "minLength": 1, "maxLength": MAX_ID},
                "The `id` of the transaction's verdict. With API keys: one that this key has sent.",
            ),
        ),
        result=_result(),
        # Their own routes take no GET, and the answer to it says so.
        pattern="/api/activities/{id:(?!(?:validate|batch)$)[^{}/]+}",
    ),
)
