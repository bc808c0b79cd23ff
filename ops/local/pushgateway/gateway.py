"""Our Pushgateway's HTTP side: the routes, answers and refusals of the real one.

https://github.com/prometheus/pushgateway#api
"""

import base64
import binascii
import re
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.local.pushgateway import exposition
from ops.local.pushgateway.exposition import InvalidExposition, Labels
from ops.local.pushgateway.metric_groups import Inconsistent, MetricGroups

MAX_PUSH_BYTES = 16 * 1024 * 1024
GROUPS: web.AppKey[MetricGroups] = web.AppKey("groups", MetricGroups)

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*$")
_BASE64 = "@base64"


class InvalidGroupingKey(ValueError):
    """The path is not a grouping key; the message has the reason."""


def create_app(groups: MetricGroups) -> web.Application:
    app = web.Application(client_max_size=MAX_PUSH_BYTES, middlewares=[_bad_request])
    app[GROUPS] = groups
    app.router.add_get("/metrics", expose)
    group = app.router.add_resource("/metrics/{key:job(@base64)?/.*}")
    group.add_route("PUT", push)
    group.add_route("POST", push)
    group.add_route("DELETE", delete)
    for path in ("/-/healthy", "/-/ready"):
        app.router.add_get(path, healthy)
    return app


@web.middleware
async def _bad_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (InvalidGroupingKey, InvalidExposition, Inconsistent, UnicodeDecodeError) as fault:
        return web.Response(status=400, text=str(fault))


async def healthy(_request: web.Request) -> web.Response:
    return web.Response(text="OK")


async def expose(request: web.Request) -> web.Response:
    """Answer every group's metrics in the text format."""
    text = exposition.render(request.app[GROUPS].families())
    return web.Response(body=text.encode(), headers={"Content-Type": exposition.CONTENT_TYPE})


async def push(request: web.Request) -> web.Response:
    """Replace the group (PUT), or its metrics of the pushed names (POST)."""
    key = grouping_key(request.rel_url.raw_path)
    families = exposition.parse((await request.read()).decode())
    request.app[GROUPS].push(key, families, replace=request.method == "PUT")
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    request.app[GROUPS].delete(grouping_key(request.rel_url.raw_path))
    return web.Response(status=202)


def grouping_key(raw_path: str) -> Labels:
    """Return the grouping key of `/metrics/job/JOB/LABEL/VALUE…`.

    The value of a name that ends in `@base64` is URL-safe base64, `=` for the empty text. The last
    label of a name counts, but the first job. Raises `InvalidGroupingKey`.
    """
    parts = raw_path.removeprefix("/metrics/").split("/")
    if len(parts) % 2:
        odd = "/" + "/".join(parts[2:])
        raise InvalidGroupingKey(f'odd number of components in label string "{odd}"')
    key: dict[str, str] = {}
    for name, raw in zip(parts[::2], parts[1::2], strict=True):
        label, value = unquote(name), unquote(raw)
        if label.endswith(_BASE64):
            label = label.removesuffix(_BASE64)
            value = _decoded(label, value)
        if not _LABEL_NAME.match(label):
            raise InvalidGroupingKey(f'improper label name "{label}"')
        if label != "job" or "job" not in key:
            key[label] = value
    if not key["job"]:
        raise InvalidGroupingKey("job name is required")
    return tuple(sorted(key.items()))


def _decoded(label: str, value: str) -> str:
    try:
        bare = value.rstrip("=").encode()
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as fault:
        raise InvalidGroupingKey(f"invalid base64 encoding in label {label}: {fault}") from None
