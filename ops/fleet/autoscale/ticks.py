"""The protocol of an event listener: ticks on standard input, answers on standard output.

http://supervisord.org/events.html#event-listeners-and-event-notifications
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Callable

_READY = b"READY\n"
_TAKEN = b"RESULT 2\nOK"


async def ticks(
    source: asyncio.StreamReader, answer: Callable[[bytes], object], stop: asyncio.Event
) -> AsyncGenerator[int]:
    """Yield the Unix time of each tick, until `stop` is set or supervisord is gone.

    A tick is acknowledged immediately; the next is requested when the consumer asks for it.
    """
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        while True:
            answer(_READY)
            reading = asyncio.create_task(_read(source), name="event")
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
                    await reading
                return
            try:
                event = await reading
            except asyncio.IncompleteReadError:  # supervisord is gone
                return
            answer(_TAKEN)
            yield int(event["when"])
    finally:
        stopping.cancel()


async def _read(source: asyncio.StreamReader) -> dict[str, str]:
    """Read an event: a line of fields, one of them the length of the payload after it."""
    header = _fields(await source.readuntil(b"\n"))
    return _fields(await source.readexactly(int(header["len"])))


def _fields(text: bytes) -> dict[str, str]:
    return dict(word.split(":", 1) for word in text.decode().split())


async def standard_input() -> asyncio.StreamReader:
    """Return standard input as a stream of the running loop."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def standard_output() -> Callable[[bytes], object]:
    """Return a writer to standard output, and redirect all other output to standard error.

    A word printed by a library would break the protocol: supervisord then marks the listener as
    failed.
    """
    descriptor = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return lambda text: os.write(descriptor, text)
