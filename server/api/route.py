"""A route: its handler and its description, in one place."""

from typing import Any, Final, NamedTuple

from aiohttp.typedefs import Handler

from server.http import ResponseKind

SCHEMAS: Final = "#/components/schemas/"
TRANSACTION: Final = f"{SCHEMAS}Transaction"
RESULT: Final = f"{SCHEMAS}Result"
"""A verdict without its payload."""


type JsonObject = dict[str, Any]


class Route(NamedTuple):
    """A method and a path. The handler's docstring describes it in the OpenAPI document.

    `answers` are the kinds that only some routes have; all have `server.api.openapi.EVERYWHERE`.
    `body` and `parameters` are OpenAPI's objects; `result` is the schema of a 200 that is no
    verdict.
    """

    method: str
    path: str
    handler: Handler
    answers: tuple[ResponseKind, ...] = ()
    body: JsonObject | None = None
    parameters: tuple[JsonObject, ...] = ()
    result: JsonObject | None = None
    pattern: str | None = None
    """The router's path, if it differs."""


def request_body(media_type: str, schema: JsonObject, description: str) -> JsonObject:
    content = {media_type: {"schema": schema}}
    return {"required": True, "description": description, "content": content}


def closed_object(properties: JsonObject, optional: JsonObject | None = None) -> JsonObject:
    """Return the JSON Schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }
