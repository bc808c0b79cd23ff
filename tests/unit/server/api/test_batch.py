from collections.abc import AsyncIterator

import pytest

from server.api.batch import split_lines


async def cut(body: bytes, step: int, limit: int) -> list[bytes | None]:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    return [line async for line in split_lines(parts(), limit)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
async def test_lines_are_the_same_however_the_body_is_cut(step: int) -> None:
    body = b"a\n\nbb\r\n \nccccc\ndddddd\nee\nfffffffffff"
    assert await cut(body, step, 5) == [b"a", b"bb", b"ccccc", None, b"ee", None]


async def test_no_body_has_no_lines() -> None:
    assert await cut(b"", 1, 5) == []
    assert await cut(b"\n\n", 1, 5) == []
