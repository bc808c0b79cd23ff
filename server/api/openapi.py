"""`GET /openapi.json`: the API in OpenAPI 3.1, made from the routes and the schema."""

import inspect
import json
from collections.abc import Iterable
from typing import Final

from aiohttp import web

import schema
from ops.runtime.settings import Settings
from schema import json_schemas
from server.api.responses import HEADERS, MAX_FAULTS, MAX_PAYLOAD_BYTES, RULES
from server.api.route import RESULT, SCHEMAS, JsonObject, Route, closed_object
from server.http import OPEN_ROUTES, ResponseKind, refusal

EVERYWHERE: Final = (refusal.BAD_REQUEST, refusal.FORBIDDEN, refusal.INTERNAL)

DOCUMENT: Final = web.AppKey("openapi", bytes)

_HEADERS: Final = {
    "Retry-After": (
        "In how many seconds to send it again.",
        {"type": "string", "pattern": "^[0-9]+$"},
    ),
    "WWW-Authenticate": ("The required authentication scheme.", {"type": "string"}),
    "Allow": ("The methods that the route takes.", {"type": "string"}),
    "Durable-In": ("What has the transaction.", {"enum": ["pubsub", "spool"]}),
}


async def openapi(request: web.Request) -> web.StreamResponse:
    """Describe this API."""
    return web.Response(body=request.app[DOCUMENT], headers=HEADERS)


ROUTES: Final = (Route("GET", "/openapi.json", openapi, result={"type": "object"}),)


def document(routes: Iterable[Route], settings: Settings) -> JsonObject:
    """Return the document of this server, with its limits and whether it asks for API keys."""
    keys = settings.api_keys_file is not None
    paths: dict[str, JsonObject] = {}
    for route in routes:
        methods = paths.setdefault(route.path, {})
        methods[route.method.lower()] = _operation(route, keys=keys)
    components: JsonObject = {"schemas": _schemas()}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatekeeper",
            "version": "1",
            "description": (
                "Takes transactions, validates them, and answers 200 when they are durable."
                f" A body holds at most {settings.max_body_bytes:,} bytes, as sent and"
                f" decompressed, a batch {settings.ndjson_max_bytes:,} bytes and"
                f" {settings.ndjson_max_lines:,} lines. Unless described otherwise, an answer is a"
                " verdict. HEAD is answered wherever GET is. Every answer has `X-Request-Id`, the"
                " request's or a new one."
            ),
        },
        "paths": paths,
        "components": components,
    }


def _operation(route: Route, *, keys: bool) -> JsonObject:
    summary, _, more = (inspect.getdoc(route.handler) or "").partition("\n")
    operation: JsonObject = {"operationId": route.handler.__name__, "summary": summary}
    if more.strip():
        operation["description"] = " ".join(more.split())
    if route.parameters:
        operation["parameters"] = route.parameters
    if route.body is not None:
        operation["requestBody"] = route.body
    guarded = keys and route.path not in OPEN_ROUTES
    answers = [
        *route.answers,
        *((refusal.UNAUTHORIZED, refusal.TOO_MANY) if guarded else ()),
        *EVERYWHERE,
    ]
    operation["responses"] = _responses(route, answers)
    if guarded:
        operation["security"] = [{"key": []}]
    return operation


def _responses(route: Route, answers: Iterable[ResponseKind]) -> JsonObject:
    by_status: dict[int, list[ResponseKind]] = {}
    for kind in answers:
        by_status.setdefault(kind.status, []).append(kind)
    responses = {str(status): _verdicts(kinds) for status, kinds in sorted(by_status.items())}
    if route.result is not None:
        described = inspect.getdoc(route.handler) or ""
        responses["200"] = _response(described.partition("\n")[0], route.result)
    return responses


def _verdicts(kinds: list[ResponseKind]) -> JsonObject:
    described = " ".join(f"`{kind.message}`: {kind.when}" for kind in kinds)
    messages = [kind.message for kind in kinds]
    properties = {"status": {"const": kinds[0].status}, "message": {"enum": messages}}
    verdict = {"allOf": [{"$ref": f"{SCHEMAS}Verdict"}, {"properties": properties}]}
    response = _response(described, verdict)
    headers = {name: _HEADERS[name] for kind in kinds for name in kind.headers}
    if headers:
        response["headers"] = {
            name: {"description": text, "required": True, "schema": form}
            for name, (text, form) in headers.items()
        }
    return response


def _response(description: str, form: JsonObject) -> JsonObject:
    return {"description": description, "content": {"application/json": {"schema": form}}}


def _schemas() -> JsonObject:
    fault = {
        "pointer": {"type": "string", "description": "An RFC 6901 pointer; empty is the whole."},
        "rule": {"enum": [*schema.RULES, *schema.CONTRACT_RULES, *RULES]},
        "message": {"type": "string"},
        "got": {"description": "The value there, shortened."},
    }
    result = {
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "error": {
            "type": ["array", "null"],
            "items": {"$ref": f"{SCHEMAS}Fault"},
            "maxItems": MAX_FAULTS,
        },
        "id": {"type": ["string", "null"], "description": "The transaction's id."},
    }
    payload = (
        f"The body as sent, where it is JSON; null for a body over {MAX_PAYLOAD_BYTES:,} bytes."
    )
    truncated = {
        "truncated": {"const": True, "description": "There are more faults than `error` has."},
        "faults_seen": {
            "type": "integer",
            "description": "With `truncated`: how many there were when the check stopped.",
        },
    }
    return {
        **json_schemas(SCHEMAS),
        "Verdict": closed_object({**result, "payload": {"description": payload}}, truncated),
        RESULT.removeprefix(SCHEMAS): closed_object(result, truncated),
        "Fault": closed_object(fault),
    }


def render_document(routes: Iterable[Route], settings: Settings) -> bytes:
    return json.dumps(document(routes, settings), ensure_ascii=False).encode()
