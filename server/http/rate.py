"""The rates of API keys: past its rate a key gets 429 with Retry-After.

The servers of a machine share the rate: each key has a file of eight bytes, mapped by all of them,
with the time at which the key's allowance will be full again (GCRA,
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). There is no lock, which a suspended
server could hold: where two servers change it in the same microsecond, one more request passes.
"""

import asyncio
import hashlib
import math
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime import log
from ops.runtime.api_keys import ApiKey
from server.http.auth import API_KEY
from server.http.refusal import TOO_MANY, Refusal, RequestFault

MAX_WAIT_SECONDS: Final = 5.0
"""How long a line of a batch waits for its turn before it is refused."""

_SIZE = 8

logger = log.get(__name__)


class RateLimits:
    """The allowances of the keys that have a rate, in files of `folder`."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._folder = folder
        self._clock = clock
        self._cells: dict[str, mmap.mmap] = {}

    def seconds_to_wait(self, key: ApiKey) -> float:
        """Take one transaction from a key's allowance: return 0, or when to come again."""
        if key.rate is None:
            return 0
        cell = self._cells.get(key.name)
        if cell is None:
            cell = self._cells[key.name] = self._open(key.name)
        interval = 1e9 / key.rate
        allowance = interval * key.burst
        now = self._clock()
        full_at = int.from_bytes(cell[:_SIZE])
        if not now < full_at <= now + allowance:  # full, or the machine has restarted
            full_at = now
        wait = full_at + interval - allowance - now
        if wait > 0:
            return wait / 1e9
        cell[:_SIZE] = math.ceil(full_at + interval).to_bytes(_SIZE)
        return 0

    def check(self, key: ApiKey) -> None:
        """Take one transaction from the allowance. Raises Refusal when there is none."""
        if wait := self.seconds_to_wait(key):
            raise _too_many(key, wait)

    async def pace(self, key: ApiKey) -> None:
        """Take one transaction; wait for it a short time. Raises Refusal when it takes longer."""
        while wait := self.seconds_to_wait(key):
            if wait > MAX_WAIT_SECONDS:
                raise _too_many(key, wait)
            await asyncio.sleep(wait)

    def _open(self, name: str) -> mmap.mmap:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A digest, as a name may be anything.
            path = self._folder / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _SIZE)  # a hole could end in SIGBUS
                return mmap.mmap(descriptor, _SIZE)
            finally:
                os.close(descriptor)
        except OSError as error:
            logger.warning("rate_not_shared", key=name, error=str(error))
            return mmap.mmap(-1, _SIZE)


RATE_LIMITS: Final = web.AppKey("rate_limits", RateLimits)


@web.middleware
async def limit_rate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 429 to a request past the rate of its key."""
    key = request.get(API_KEY)
    if key is not None:
        request.app[RATE_LIMITS].check(key)
    return await handler(request)


def _too_many(key: ApiKey, wait: float) -> Refusal:
    why = f"this API key may send {key.rate:g} transactions a second, {key.burst} at the same time"
    return Refusal(TOO_MANY, RequestFault("rate", why), Retry_After=str(max(math.ceil(wait), 1)))
