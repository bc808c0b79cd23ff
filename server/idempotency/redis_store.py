"""Keys in a Redis that the servers of several machines share; each call is one script, so atomic.

As durable as Redis is configured to be: with `appendonly yes` it loses a second at most
(https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/), and the ledger then
still finds repeats of the same id.
"""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ops.runtime import log
from server.idempotency.record import (
    ATTEMPT_SECONDS,
    PARALLEL_ATTEMPTS,
    Claim,
    Claimed,
    KeyRecord,
    RegistryFailed,
)

CALL_SECONDS: Final = 2.0

# The same decisions as `sqlite_store`; the clock is Redis's own.
_CLAIM: Final = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local found = redis.call('HMGET', KEYS[1],
  'sha256', 'ordering_key', 'id', 'published', 'attempts', 'attempted_at')
if not found[1] then
  redis.call('HSET', KEYS[1], 'sha256', ARGV[1], 'ordering_key', ARGV[2], 'id', ARGV[3],
    'published', 0, 'attempts', 1, 'attempted_at', tostring(now))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {{ARGV[1], ARGV[2], ARGV[3], 'first'}}
end
local claimed = 'again'
if found[4] == '1' then
  claimed = 'published'
elseif found[1] ~= ARGV[1] or (tonumber(found[5]) >= {PARALLEL_ATTEMPTS}
    and math.abs(now - tonumber(found[6])) < {ATTEMPT_SECONDS}) then
  claimed = 'wait'
else
  redis.call('HSET', KEYS[1], 'attempts', math.min(found[5] + 1, {PARALLEL_ATTEMPTS}),
    'attempted_at', tostring(now))
end
return {{found[1], found[2], found[3], claimed}}
"""
_SETTLE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], 'published', 1) end
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts'))
redis.call('HSET', KEYS[1], 'attempts', math.max(attempts - 1, 0))
"""

logger = log.get(__name__)


class RedisStore:
    """Make it in the running loop; `close` it. Nothing connects before the first claim."""

    def __init__(self, url: str, prefix: str, seconds: float) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=CALL_SECONDS, socket_connect_timeout=CALL_SECONDS
        )
        self._claim = self._redis.register_script(_CLAIM)
        self._settle = self._redis.register_script(_SETTLE)
        self._prefix = prefix
        self._milliseconds = int(seconds * 1_000)
        self._settling: dict[bytes, asyncio.Task[None]] = {}

    async def claim(self, key: bytes, wanted: KeyRecord) -> Claim:
        if (settling := self._settling.get(key)) is not None:
            await settling
        texts = [text.encode("utf-8", "surrogateescape") for text in wanted]
        *record, claimed = await self._call(self._claim, key, [*texts, self._milliseconds])
        sha256, ordering_key, id_ = (each.decode("utf-8", "surrogateescape") for each in record)
        return Claim(KeyRecord(sha256, ordering_key, id_), Claimed(claimed.decode()))

    def settle(self, key: bytes, *, published: bool) -> None:
        before = self._settling.get(key)
        task = asyncio.create_task(self._settle_after(before, key, published), name="idempotency")
        self._settling[key] = task
        task.add_done_callback(lambda ended: self._forget(key, ended))

    async def close(self) -> None:
        if self._settling:
            await asyncio.wait(self._settling.values())
        await self._redis.aclose()

    async def _settle_after(
        self,
        before: asyncio.Task[None] | None,
        key: bytes,
        published: bool,  # noqa: FBT001
    ) -> None:
        if before is not None:
            await before
        try:
            await self._call(self._settle, key, [int(published)])
        except RegistryFailed as error:  # a repeat is published once more
            logger.warning("idempotency_not_settled", error=str(error))

    def _forget(self, key: bytes, ended: asyncio.Task[None]) -> None:
        if self._settling.get(key) is ended:
            del self._settling[key]

    async def _call(self, script: Any, key: bytes, values: list[Any]) -> Any:
        call = script(keys=[f"{self._prefix}:{key.hex()}"], args=values)
        try:
            return await call
        except (RedisError, OSError) as error:
            raise RegistryFailed(f"Redis: {error}") from error
