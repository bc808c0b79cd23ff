"""Asks the store what a request's key stands for, and waits where others are publishing it."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Final

from ops.runtime.settings import Settings
from server.idempotency.record import (
    ATTEMPT_SECONDS,
    Claim,
    Claimed,
    KeyConflict,
    KeyRecord,
    KeyStore,
    RegistryFailed,
)
from server.idempotency.sqlite_store import SqliteStore

_POLL_SECONDS: Final = 0.02


class Registry:
    """The keys of all sources."""

    def __init__(self, store: KeyStore, patience: float = ATTEMPT_SECONDS) -> None:
        self._store = store
        self._patience = patience

    async def claim(self, source: str, key: str, wanted: KeyRecord) -> Claim:
        """Return what the key stands for, and whether to publish it; never WAIT.

        After FIRST and AGAIN, call `settle`. Raises KeyConflict and RegistryFailed.
        """
        digest = _digest(source, key)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience
        while True:
            claim = await self._store.claim(digest, wanted)
            if claim.record.sha256 != wanted.sha256:
                raise KeyConflict
            if claim.claimed is not Claimed.WAIT:
                return claim
            if loop.time() >= give_up:
                raise RegistryFailed("other requests with this key are in progress")
            await asyncio.sleep(_POLL_SECONDS)

    def settle(self, source: str, key: str, *, published: bool) -> None:
        """End an attempt: it is durable, or may be tried again."""
        self._store.settle(_digest(source, key), published=published)


def _digest(source: str, key: str) -> bytes:
    # The length makes ("a", "bc") and ("ab", "c") differ. Headers may have undecodable bytes.
    text = f"{len(source)}:{source}{key}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


@contextlib.asynccontextmanager
async def open_registry(settings: Settings) -> AsyncIterator[Registry]:
    """Yield the registry that the servers of the settings share."""
    seconds = settings.idempotency_hours * 3_600.0
    store: KeyStore
    if settings.idempotency_store is None:
        folder = settings.state_dir.absolute() / "idempotency" / settings.project_id
        store = SqliteStore(folder / f"{settings.topic_id}.sqlite3", seconds)
    else:
        from server.idempotency.redis_store import RedisStore  # noqa: PLC0415  # an extra

        prefix = f"gatekeeper:{settings.project_id}:{settings.topic_id}"
        store = RedisStore(settings.idempotency_store, prefix, seconds)
    try:
        yield Registry(store)
    finally:
        await store.close()
