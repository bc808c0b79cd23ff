"""The stand-in's HTTP side: the Pushgateway's own routes, answers and refusals.

https://github.com/prometheus/pushgateway#api
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from ops.local.pushgateway import exposition
from ops.local.pushgateway.exposition import Family, InvalidExposition, Labels
from ops.local.pushgateway.groups import FAILED, PUSHED, Group, Groups, Inconsistent

MAX_PUSH_BYTES = 16 * 1024 * 1024
GROUPS: web.AppKey[Groups] = web.AppKey("groups", Groups)

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*$")
_ENCODED = "@base64"


class InvalidGroupingKey(ValueError):
    """The path names no group; the message says why."""


def create_app(groups: Groups) -> web.Application:
    """Return the application over these groups; it saves them when it ends."""
    app = web.Application(client_max_size=MAX_PUSH_BYTES)
    app[GROUPS] = groups
    app.router.add_get("/metrics", expose)
    group = app.router.add_resource("/metrics/{key:job(@base64)?/.*}")
    group.add_route("PUT", push)
    group.add_route("POST", push)
    group.add_route("DELETE", delete)
    app.router.add_get("/api/v1/metrics", describe)
    for path in ("/-/healthy", "/-/ready"):
        app.router.add_get(path, healthy)
    app.cleanup_ctx.append(_saved_at_the_end)
    return app


async def _saved_at_the_end(app: web.Application) -> AsyncIterator[None]:
    yield
    app[GROUPS].save()


async def healthy(_request: web.Request) -> web.Response:
    """Answer that the gateway serves."""
    return web.Response(text="OK")


async def expose(request: web.Request) -> web.Response:
    """Answer every group's metrics in the text format."""
    text = exposition.render(request.app[GROUPS].families())
    return web.Response(body=text.encode(), headers={"Content-Type": exposition.CONTENT_TYPE})


async def push(request: web.Request) -> web.Response:
    """Replace the group (PUT), or the metrics of the names pushed (POST)."""
    groups = request.app[GROUPS]
    try:
        key = grouping_key(request.rel_url.raw_path)
    except InvalidGroupingKey as fault:
        return web.Response(status=400, text=str(fault))
    try:
        families = exposition.parse((await request.read()).decode())
        groups.push(key, families, replacing=request.method == "PUT")
    except UnicodeDecodeError:
        return web.Response(status=400, text="text format parsing error: not UTF-8")
    except InvalidExposition as fault:
        if "timestamps" in str(fault):
            groups.refuse(key)
        return web.Response(status=400, text=str(fault))
    except Inconsistent as fault:
        text = f"pushed metrics are invalid or inconsistent with existing metrics: {fault}"
        return web.Response(status=400, text=text)
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """Delete the group."""
    try:
        request.app[GROUPS].delete(grouping_key(request.rel_url.raw_path))
    except InvalidGroupingKey as fault:
        return web.Response(status=400, text=str(fault))
    return web.Response(status=202)


def grouping_key(raw_path: str) -> Labels:
    """Return the grouping key that `/metrics/job/JOB/LABEL/VALUE…` names.

    A name that ends in `@base64` has its value in URL-safe base64, `=` for the empty text. A later
    label of the same name wins. Raises `InvalidGroupingKey`.
    """
    parts = raw_path.removeprefix("/metrics/").split("/")
    if len(parts) % 2:
        odd = "/" + "/".join(parts[2:])
        raise InvalidGroupingKey(f'odd number of components in label string "{odd}"')
    key: dict[str, str] = {}
    for name, raw in zip(parts[::2], parts[1::2], strict=True):
        label, value = unquote(name), unquote(raw)
        if label.endswith(_ENCODED):
            label = label.removesuffix(_ENCODED)
            value = _decoded(label, value)
        if not _LABEL_NAME.match(label):
            raise InvalidGroupingKey(f'improper label name "{label}"')
        key.setdefault(label, value) if label == "job" else key.update({label: value})
    if not key["job"]:
        raise InvalidGroupingKey("job name is required")
    return tuple(sorted(key.items()))


def _decoded(label: str, value: str) -> str:
    try:
        bare = value.rstrip("=").encode()
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as fault:
        raise InvalidGroupingKey(f"invalid base64 encoding in label {label}: {fault}") from None


async def describe(request: web.Request) -> web.Response:
    """Answer every group as JSON."""
    groups = request.app[GROUPS]
    return web.json_response({"status": "success", "data": [_described(g) for g in groups]})


def _described(group: Group) -> dict[str, Any]:
    moment = datetime.fromtimestamp(max(group.pushed_at, group.failed_at), UTC).isoformat()
    shown = {
        family.name: {
            "time_stamp": moment.replace("+00:00", "Z"),
            "type": family.type.upper(),
            "help": family.help,
            "metrics": _metrics(family),
        }
        for family in group.shown()
    }
    return {
        "labels": dict(group.key),
        "last_push_successful": group.pushed_at >= group.failed_at,
        PUSHED: shown.pop(PUSHED),
        FAILED: shown.pop(FAILED),
        **shown,
    }


def _metrics(family: Family) -> list[dict[str, Any]]:
    """Return a family's metrics, the parts of a histogram or a summary gathered by labels."""
    gathered: dict[Labels, dict[str, Any]] = {}
    inner = {"histogram": ("le", "buckets"), "summary": ("quantile", "quantiles")}
    for sample in family.samples:
        label, many = inner.get(family.type, ("", ""))
        bare = tuple(pair for pair in sample.labels if pair[0] != label)
        metric = gathered.setdefault(bare, {"labels": dict(bare)})
        value = exposition.number(sample.value)
        if not many:
            metric["value"] = value
        elif bare != sample.labels:
            metric.setdefault(many, {})[dict(sample.labels)[label]] = value
        else:
            metric[sample.name.removeprefix(f"{family.name}_")] = value
    return list(gathered.values())
