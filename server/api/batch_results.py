"""Keeps the verdicts of a batch until they can be sent: in memory, then in a temporary file."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from typing import Self

from ops.runtime import log
from server.api.responses import Verdict
from server.http import refusal

_MEMORY_BYTES = 256_000  # of verdicts, before they go to disk
_DISK_SECONDS = 30  # until a full disk may have room again

logger = log.get(__name__)


class BatchResults:
    """The verdicts as JSON, and their counts. Raises Refusal when the disk is full."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.bytes = 0
        # Closed in __exit__.
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a write that failed before fails here again
            self._file.close()

    async def add(self, verdict: Verdict) -> None:
        if self.accepted or self.rejected:
            self._buffer += b", "
        text = verdict.json(payload=False)
        self.bytes += len(text)
        self._buffer += text
        if verdict.status == 200:  # noqa: PLR2004
            self.accepted += 1
        else:
            self.rejected += 1
        if len(self._buffer) > _MEMORY_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        buffer, self._buffer = self._buffer, bytearray()
        await self._in_thread(self._file.write, buffer)

    async def rewind(self) -> None:
        await self._flush()
        await self._in_thread(self._file.seek, 0)

    async def read(self) -> bytes:
        """Return the next part; empty at the end."""
        return await self._in_thread(self._file.read, _MEMORY_BYTES)

    @staticmethod
    async def _in_thread[**P, T](call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except OSError as error:
            logger.warning("verdicts_not_stored", error=str(error))
            why = (
                "the server cannot store the verdicts of this batch now, so which lines it accepted"
                " is unknown: send all again; with its Idempotency-Key none is applied twice"
            )
            raise refusal.unavailable(why, _DISK_SECONDS) from error
