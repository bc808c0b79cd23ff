import asyncio
from pathlib import Path

import pytest

from server.idempotency import Claimed, KeyConflict, KeyRecord, Registry, RegistryFailed
from server.idempotency.sqlite_store import SqliteStore

ONE = KeyRecord("sha-1", "orders", "id-1")


async def test_a_third_request_waits_for_the_outcome_of_the_others(tmp_path: Path) -> None:
    registry = Registry(SqliteStore(tmp_path / "keys", 60))
    assert (await registry.claim("a", "k", ONE)).claimed is Claimed.FIRST
    assert (await registry.claim("a", "k", ONE)).claimed is Claimed.AGAIN
    third = asyncio.create_task(registry.claim("a", "k", ONE))
    await asyncio.sleep(0.1)
    assert not third.done()
    registry.settle("a", "k", published=True)
    assert (await third).claimed is Claimed.PUBLISHED
    await registry._store.close()


async def test_a_request_does_not_wait_for_ever(tmp_path: Path) -> None:
    registry = Registry(SqliteStore(tmp_path / "keys", 60), patience=0.1)
    for _ in range(2):
        await registry.claim("a", "k", ONE)
    with pytest.raises(RegistryFailed):
        await registry.claim("a", "k", ONE)
    await registry._store.close()


async def test_another_body_is_a_conflict_immediately_and_another_source_is_not(
    tmp_path: Path,
) -> None:
    registry = Registry(SqliteStore(tmp_path / "keys", 60))
    await registry.claim("a", "bc", ONE)
    other = KeyRecord("sha-2", "orders", "id-1")
    for published in (False, True):
        with pytest.raises(KeyConflict):
            await registry.claim("a", "bc", other)
        registry.settle("a", "bc", published=published)
    assert (await registry.claim("ab", "c", other)).claimed is Claimed.FIRST
    assert (await registry.claim("a", "\udcff", other)).claimed is Claimed.FIRST
    await registry._store.close()
