"""Pushes the metrics of this process to a Pushgateway, in a thread, under its grouping key."""

import asyncio
import urllib.request
from collections.abc import Callable, Sequence

from prometheus_client import REGISTRY, delete_from_gateway, push_to_gateway

from ops.runtime import direct_http, log, metrics

PUSH_TIMEOUT_SECONDS = 3.0

logger = log.get(__name__)


def _request(
    url: str, method: str, timeout: float | None, headers: Sequence[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """Make a request as prometheus_client does, which would read all TLS roots for each push."""
    request = urllib.request.Request(url, data, dict(headers), method=method)  # noqa: S310  # the settings' address

    def send() -> None:
        direct_http.open_url(request, timeout).close()

    return send


def _call(
    call: Callable[..., None], gateway: str, job: str, instance: str, **options: object
) -> None:
    call(
        gateway,
        job=job,
        grouping_key={"instance": instance},
        timeout=PUSH_TIMEOUT_SECONDS,
        handler=_request,
        **options,
    )


def delete_group(gateway: str, job: str, instance: str) -> None:
    """Delete the group of another process. Raises OSError and http.client.HTTPException."""
    _call(delete_from_gateway, gateway, job, instance)


class Pusher:
    """The group of one process: job, for example `gatekeeper_server`, and `instance`, its name.

    The name is that of `ops.runtime.process.name`. `gateway` is `host:port`.
    """

    def __init__(self, gateway: str, job: str, instance: str) -> None:
        self._gateway = gateway
        self._job = job
        self._instance = instance

    async def push(self) -> bool:
        """Push once, replacing the group; False if that failed, which is logged and counted."""
        return await self._attempt("push", push_to_gateway, registry=REGISTRY)

    async def delete(self) -> bool:
        """Delete the group of a process that has ended; False if that failed."""
        return await self._attempt("delete", delete_from_gateway)

    async def _attempt(self, what: str, call: Callable[..., None], **options: object) -> bool:
        try:
            await asyncio.to_thread(
                _call, call, self._gateway, self._job, self._instance, **options
            )
        except Exception as error:  # noqa: BLE001  # metrics must not disturb the work
            metrics.PUSH_FAILURES.inc()
            logger.warning("metrics_push_failed", what=what, error=str(error))
            return False
        return True
