import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.holder import forever, never, start_holder
from tests.support.processes import Service, eventually
from workers.claims import LONGEST_SECONDS, Claims, Unclaimed


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    opened = Claims(tmp_path / "claims")
    yield opened
    opened.close()


def holder(tmp_path: Path, job_seconds: float) -> Service:
    """Return another process that holds the keys a and b; its job runs so long."""
    held = "Claims(pathlib.Path(path)).held(['a', 'b'], lambda: 10)"
    note = "claim.note(time.monotonic() + float(words[0]))"
    return start_holder(tmp_path / "claims", held, str(job_seconds), then=note)


async def fail(claims: Claims, until: float) -> None:
    """Hold the key a, with a job that may run until then, in a block that fails."""
    with contextlib.suppress(ZeroDivisionError):
        async with claims.held(["a"], forever) as claim:
            claim.note(until)
            raise ZeroDivisionError


async def test_what_another_process_holds_is_waited_for_and_the_rest_is_free(
    claims: Claims, tmp_path: Path
) -> None:
    other = holder(tmp_path, 0.0)
    try:
        async with claims.held(["c"], never):
            pass
        with pytest.raises(Unclaimed, match="another worker"):
            async with claims.held(["b", "c"], never):
                pass
        async with claims.held(["c"], never):
            pass  # what was free is free again
    finally:
        other.kill()
    async with claims.held(["a", "b"], forever):
        pass


async def test_a_suspended_holder_holds_on(claims: Claims, tmp_path: Path) -> None:
    other = holder(tmp_path, 0.0)
    try:
        other.signal(signal.SIGSTOP)
        with pytest.raises(Unclaimed):
            async with claims.held(["a"], never):
                pass
    finally:
        other.kill()


async def test_a_dead_holders_job_is_waited_for(claims: Claims, tmp_path: Path) -> None:
    other = holder(tmp_path, 1.5)
    began = time.monotonic()
    other.kill()
    with pytest.raises(Unclaimed, match="a job of one that died"):
        async with claims.held(["a"], never):
            pass
    async with claims.held(["b"], forever):
        assert time.monotonic() - began > 1.0


async def test_a_block_that_ends_well_leaves_nothing_noted_and_one_that_fails_does(
    claims: Claims,
) -> None:
    async with claims.held(["a"], forever) as claim:
        claim.note(time.monotonic() + 60)
    async with claims.held(["a"], never):
        pass
    await fail(claims, time.monotonic() + 60)
    with pytest.raises(Unclaimed):
        async with claims.held(["a"], never):
            pass


async def test_what_was_noted_before_the_machine_started_is_nothing(claims: Claims) -> None:
    await fail(claims, time.monotonic() + 2 * LONGEST_SECONDS)
    async with claims.held(["a"], never):
        pass


async def test_nobody_waits_for_one_another(claims: Claims, tmp_path: Path) -> None:
    other = holder(tmp_path, 0.0)
    try:

        async def take(keys: list[str]) -> None:
            async with claims.held(keys, forever):
                pass

        waiting = asyncio.create_task(take(["a", "c"]))
        async with claims.held(["c"], never):
            other.kill()
        await eventually(waiting.done, 10)
        await waiting
    finally:
        other.kill()
