"""A route: what the router needs of it, and what the API's description says of it. One place."""

from typing import Any, Final, NamedTuple

from aiohttp.typedefs import Handler

from server.api.responses import Kind

SCHEMAS: Final = "#/components/schemas/"
TRANSACTION: Final = f"{SCHEMAS}Transaction"
RESULT: Final = f"{SCHEMAS}Result"
"""A verdict without its payload."""


class Body(NamedTuple):
    """A request's body: its media type, its schema, and what a person should know of it."""

    media_type: str
    schema: dict[str, Any]
    description: str


class Parameter(NamedTuple):
    """A part of the path or a header, as JSON Schema has it."""

    name: str
    where: str
    schema: dict[str, Any]
    description: str


class Route(NamedTuple):
    """A method and a path. The handler's docstring is the description's summary.

    `answers` holds the kinds of verdict that are this route's own; every route has those of
    `server.api.openapi.EVERYWHERE` too. `result` is the schema of a 200 that is no verdict.
    """

    method: str
    path: str
    handler: Handler
    answers: tuple[Kind, ...] = ()
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    result: dict[str, Any] | None = None
    pattern: str | None = None
    """The path as the router has it, where that says more."""
