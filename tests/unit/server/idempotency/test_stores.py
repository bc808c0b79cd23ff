"""One contract, two stores."""

import asyncio
import contextlib
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.idempotency.record import Claimed, KeyRecord, KeyStore, RegistryFailed
from server.idempotency.redis_store import RedisStore
from server.idempotency.sqlite_store import SqliteStore
from tests.support import redis_server
from tests.support.fake_clock import FakeClock

HOUR = 3_600.0
ONE = KeyRecord("sha-1", "orders", "id-1")
OTHER = KeyRecord("sha-2", "payments é", "id-2")
KEY = b"0123456789abcdef"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if redis_server.REDIS is None:
        pytest.skip(redis_server.ABSENT)
    with redis_server.redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(params=["sqlite", "redis"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[KeyStore, KeyStore]]:
    """Two servers' handles of one store."""
    both: tuple[KeyStore, KeyStore]
    if request.param == "sqlite":
        file = tmp_path / "folder" / "keys.sqlite3"
        both = SqliteStore(file, HOUR), SqliteStore(file, HOUR)
    else:
        address, prefix = request.getfixturevalue("redis"), secrets.token_hex(4)
        both = RedisStore(address, prefix, HOUR), RedisStore(address, prefix, HOUR)
    yield both
    for each in both:
        await each.close()


async def test_the_first_request_decides_for_all_servers(stores: tuple[KeyStore, KeyStore]) -> None:
    first, second = stores
    assert await first.claim(KEY, ONE) == (ONE, Claimed.FIRST)
    for store in stores:
        assert (await store.claim(KEY, OTHER)).record == ONE
    assert await second.claim(KEY[::-1], OTHER) == (OTHER, Claimed.FIRST)


async def test_what_is_published_is_not_published_again(stores: tuple[KeyStore, KeyStore]) -> None:
    first, second = stores
    await first.claim(KEY, ONE)
    first.settle(KEY, published=True)
    assert await first.claim(KEY, ONE) == (ONE, Claimed.PUBLISHED)
    assert await second.claim(KEY, ONE) == (ONE, Claimed.PUBLISHED)
    second.settle(KEY, published=False)
    assert await second.claim(KEY, ONE) == (ONE, Claimed.PUBLISHED)


async def test_one_repeat_publishes_beside_the_first_and_further_ones_wait(
    stores: tuple[KeyStore, KeyStore],
) -> None:
    first, second = stores
    await first.claim(KEY, ONE)
    assert await second.claim(KEY, ONE) == (ONE, Claimed.AGAIN)
    assert await first.claim(KEY, ONE) == (ONE, Claimed.WAIT)
    first.settle(KEY, published=False)
    assert await first.claim(KEY, ONE) == (ONE, Claimed.AGAIN)
    assert await first.claim(KEY, ONE) == (ONE, Claimed.WAIT)


async def test_of_many_bodies_at_the_same_instant_one_is_first(
    stores: tuple[KeyStore, KeyStore],
) -> None:
    for number in range(20):
        key = number.to_bytes(16)
        records = [KeyRecord(f"sha-{each}", f"key-{each}", f"id-{each}") for each in range(16)]
        claims = await asyncio.gather(
            *(stores[each % 2].claim(key, record) for each, record in enumerate(records))
        )
        assert [claim.claimed for claim in claims].count(Claimed.FIRST) == 1
        assert len({claim.record for claim in claims}) == 1


async def test_keys_end_after_their_time_and_dead_attempts_too(tmp_path: Path) -> None:
    clock, file = FakeClock(1_000_000.0), tmp_path / "keys.sqlite3"
    store = SqliteStore(file, HOUR, clock)
    await store.claim(KEY, ONE)
    await store.claim(KEY, ONE)
    clock.now += 21
    assert await store.claim(KEY, ONE) == (ONE, Claimed.AGAIN)
    clock.now -= 600  # a clock that is set back holds nobody for long
    assert await store.claim(KEY, ONE) == (ONE, Claimed.AGAIN)
    clock.now += HOUR + 1_200
    assert await store.claim(KEY, OTHER) == (OTHER, Claimed.FIRST)
    await store.close()


async def test_the_file_holds_no_expired_keys(tmp_path: Path) -> None:
    clock, file = FakeClock(1_000_000.0), tmp_path / "keys.sqlite3"
    store = SqliteStore(file, HOUR, clock)
    for number in range(400):
        clock.now += 60
        await store.claim(number.to_bytes(16), ONE)
    await store.close()
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT COUNT(*) FROM keys").fetchone() == (60,)
    assert file.parent.stat().st_mode & 0o777 != 0o777


async def test_a_store_that_cannot_be_used_fails_every_claim(tmp_path: Path) -> None:
    file = tmp_path / "keys.sqlite3"
    file.write_text("no database")
    stores: list[KeyStore] = [SqliteStore(file, HOUR)]
    stores.append(RedisStore("redis://127.0.0.1:9/0", "x", HOUR))
    for store in stores:
        with pytest.raises(RegistryFailed):
            await store.claim(KEY, ONE)
        store.settle(KEY, published=True)
        await store.close()


type Step = tuple[int, int, str]
_STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["claim", "done", "failed"])),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_a_key_never_changes_its_meaning(steps: list[Step]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "keys")
            servers = [SqliteStore(file, HOUR), SqliteStore(file, HOUR)]
            meaning: dict[int, KeyRecord] = {}
            published: set[int] = set()
            for number, (key, body, action) in enumerate(steps):
                store, name = servers[number % 2], key.to_bytes(16)
                if action == "claim":
                    claim = await store.claim(name, KeyRecord(f"{body}", f"o{body}", f"i{body}"))
                    assert claim.record == meaning.setdefault(key, claim.record)
                    assert (claim.claimed is Claimed.PUBLISHED) == (key in published)
                elif key in meaning:
                    store.settle(name, published=action == "done")
                    await store.claim(b"flush", ONE)
                    published |= {key} if action == "done" else set()
            for store in servers:
                await store.close()

    asyncio.run(run())
