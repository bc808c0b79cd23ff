"""A route: its handler and its description, in one place."""

from typing import Any, Final, NamedTuple

from aiohttp.typedefs import Handler

from server.http import ResponseKind

SCHEMAS: Final = "#/components/schemas/"
TRANSACTION: Final = f"{SCHEMAS}Transaction"
RESULT: Final = f"{SCHEMAS}Result"
"""A verdict without its payload."""


class Body(NamedTuple):
    """A request's body: its media type, its JSON Schema, and a description for people."""

    media_type: str
    schema: dict[str, Any]
    description: str


class Parameter(NamedTuple):
    """A header, or a part of the path; `where` is OpenAPI's `in`."""

    name: str
    where: str
    schema: dict[str, Any]
    description: str


class Route(NamedTuple):
    """A method and a path. The handler's docstring describes it in the OpenAPI document.

    `answers` are the kinds that only some routes have; all have `server.api.openapi.EVERYWHERE`.
    `result` is the schema of a 200 that is no verdict.
    """

    method: str
    path: str
    handler: Handler
    answers: tuple[ResponseKind, ...] = ()
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    result: dict[str, Any] | None = None
    pattern: str | None = None
    """The router's path, if it differs."""


def closed_object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
