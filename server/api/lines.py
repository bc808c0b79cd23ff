"""Cuts a stream of bytes into lines, in memory for one line."""

from collections.abc import AsyncGenerator, AsyncIterator


async def lines(parts: AsyncIterator[bytes], limit: int) -> AsyncGenerator[bytes | None]:
    r"""Yield each line that is not blank, without its `\n`; None stands for one over `limit`."""
    held = bytearray()
    skipping = False
    async for part in parts:
        *ends, rest = part.split(b"\n")
        for end in ends:
            if skipping or len(held) + len(end) > limit:
                yield None
            elif line := bytes(held + end).strip():
                yield line
            held.clear()
            skipping = False
        if skipping or len(held) + len(rest) > limit:
            skipping = True
            held.clear()
        else:
            held += rest
    if skipping:
        yield None
    elif line := bytes(held).strip():
        yield line
