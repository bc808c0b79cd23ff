"""`POST /api/activities/batch`: NDJSON, a transaction a line, a verdict for each, in order.

Neither the body nor the answer is ever whole in memory: verdicts gather, when they are many in a
temporary file, until the last line has come, so that a client which reads only after it has sent
gets its answer too.
After a line that Pub/Sub did not take, later lines are not tried: none may overtake it.
"""

import asyncio
import contextlib
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Self

from aiohttp import web

from ops.runtime import log
from server.api import responses as kinds
from server.api import verdict
from server.api.activities import INGEST, SOURCE, Ingest, confirmed
from server.api.lines import lines
from server.api.route import RESULT, Body, Route
from server.api.validation import KEY_PARAMETERS, Keys, read_keys
from server.api.verdict import HEADERS, Refused, Verdict
from server.http import body
from server.http.middleware import GATE

MEDIA_TYPES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")

WINDOW_LINES: Final = 500
"""Lines handed to Pub/Sub and not yet confirmed."""

WINDOW_BYTES: Final = 4_000_000
_MEMORY_BYTES = 256_000  # of verdicts, before they go to disk
_WRITE_SECONDS = 30.0
_DISK_SECONDS = 30  # until a full disk may have room again

logger = log.get(__name__)

Outcome = tuple[str, asyncio.Future[bool], int]


async def accept(request: web.Request) -> web.StreamResponse:
    """Answer `{"accepted", "rejected", "results"}` when every line has its verdict."""
    body.check_type(request, *MEDIA_TYPES)
    keys = read_keys(request.headers)
    if keys.faults:
        raise Refused(verdict.invalid_schema(keys.faults, b"null"))
    ingest = request.app[INGEST]
    with request.app[GATE].batches, _Results() as results:
        run = _Run(ingest, keys, request.get(SOURCE, ""), results)
        await _read_through(request, run, ingest.max_body_bytes)
        await run.settle_all()
        return await _answer(request, results)


async def _read_through(request: web.Request, run: "_Run", limit: int) -> None:
    """Take every line; each has BODY_SECONDS to arrive."""
    loop = asyncio.get_running_loop()
    try:
        async with (
            asyncio.timeout(body.BODY_SECONDS) as clock,
            aclosing(body.stream(request)) as parts,
            aclosing(lines(parts, limit)) as each,
        ):
            async for line in each:
                await run.take(line)
                clock.reschedule(loop.time() + body.BODY_SECONDS)
    except TimeoutError:
        await run.refuse(verdict.too_slow(body.BODY_SECONDS))
    except Refused as refused:
        if not run.begun:
            raise
        await run.refuse(refused.verdict)


class _Results:
    """Verdicts as JSON; `accepted` and `rejected` count them.

    Raises Refused where the disk does not take them.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        # Closed in __exit__.
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
        self._held = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of what it could not write before either
            self._file.close()

    async def add(self, one: Verdict) -> None:
        if self.accepted or self.rejected:
            self._held += b", "
        self._held += one.json(payload=False)
        if one.status == 200:  # noqa: PLR2004
            self.accepted += 1
        else:
            self.rejected += 1
        if len(self._held) > _MEMORY_BYTES:
            await self._write()

    async def _write(self) -> None:
        held, self._held = self._held, bytearray()
        await self._do(self._file.write, held)

    async def read(self) -> bytes:
        return await self._do(self._file.read, _MEMORY_BYTES)

    async def rewind(self) -> None:
        await self._write()
        await self._do(self._file.seek, 0)

    @staticmethod
    async def _do[**P, T](what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(what, *args, **kwargs)
        except OSError as error:
            logger.warning("verdicts_not_kept", error=str(error))
            why = (
                "the server cannot keep so many verdicts now, and cannot say which lines are "
                "accepted: send all again; with its Idempotency-Key none is applied twice"
            )
            raise Refused(verdict.unavailable(why, _DISK_SECONDS)) from error


class _Run:
    """One body's lines on their way, in order."""

    def __init__(self, ingest: Ingest, keys: Keys, source: str, results: _Results) -> None:
        self._ingest = ingest
        self._keys = keys
        self._source = source
        self._results = results
        self._pending: deque[Verdict | Outcome] = deque()
        self._bytes = 0
        self._lines = 0
        self._stopped = False
        self._failures = ingest.failures

    @property
    def begun(self) -> bool:
        """Whether a line has come."""
        return self._lines > 0

    async def take(self, line: bytes | None) -> None:
        """Judge a line and hand it over; wait when too many are on their way."""
        self._lines += 1
        try:
            one = await self._hand_over(line)
        except Refused as refused:
            one = refused.verdict._replace(payload=b"null")
        self._pending.append(one)
        if not isinstance(one, Verdict):
            self._bytes += one[2]
        while self._pending and (
            len(self._pending) > WINDOW_LINES
            or self._bytes > WINDOW_BYTES
            or _settled(self._pending[0])
        ):
            await self._settle()

    async def _hand_over(self, line: bytes | None) -> Verdict | Outcome:
        if line is None:
            limit = self._ingest.max_body_bytes
            return verdict.too_large(f"a line holds at most {limit:,} bytes")
        keys = self._keys
        if keys.idempotency is not None:
            # The batch's key names the file, the number the line: the same file again is the same.
            keys = keys._replace(idempotency=f"{keys.idempotency}/{self._lines}")
        transaction = await self._ingest.judge(line, keys)
        if self._stopped or self._failed():
            self._stopped = True
            return verdict.unavailable("not tried: an earlier line was not accepted", 5)
        return (*self._ingest.hand_over(line, transaction, keys, self._source), len(line))

    def _failed(self) -> bool:
        """Whether a line on its way has failed by now; a look, not a wait."""
        if self._ingest.failures == self._failures:  # nobody's has
            return False
        self._failures = self._ingest.failures
        return any(
            not isinstance(each, Verdict) and each[1].done() and each[1].exception() is not None
            for each in self._pending
        )

    async def refuse(self, why: Verdict) -> None:
        """End the results with why the rest of the body could not be read."""
        await self.settle_all()
        await self._results.add(why)

    async def settle_all(self) -> None:
        """Wait for every line on its way."""
        while self._pending:
            await self._settle()

    async def _settle(self) -> None:
        oldest = self._pending.popleft()
        if not isinstance(oldest, Verdict):
            name, outcome, size = oldest
            self._bytes -= size
            oldest = await confirmed(b"null", name, outcome)
            self._stopped = self._stopped or oldest.status != 200  # noqa: PLR2004
        await self._results.add(oldest)


def _settled(one: Verdict | Outcome) -> bool:
    return isinstance(one, Verdict) or one[1].done()


async def _answer(request: web.Request, results: _Results) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    if request.app[GATE].leaving:
        response.force_close()
    counts = (results.accepted, results.rejected)
    head = b'{"accepted": %d, "rejected": %d, "results": [' % counts
    await results.rewind()
    await response.prepare(request)
    try:
        while head:
            async with asyncio.timeout(_WRITE_SECONDS):
                await response.write(head)
            head = await results.read()
    except TimeoutError:
        raise ConnectionResetError("the client does not read its answer") from None
    await response.write(b"]}")
    return response


_RESULT = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "rejected": {"type": "integer", "minimum": 0},
        "results": {
            "type": "array",
            "items": {"$ref": RESULT},
            "description": "A verdict for each line, in order; blank lines have none.",
        },
    },
    "required": ["accepted", "rejected", "results"],
    "additionalProperties": False,
}
ROUTES: Final = (
    Route(
        "POST",
        "/api/activities/batch",
        accept,
        (kinds.INVALID_SCHEMA, *body.REFUSALS, kinds.UNAVAILABLE),
        Body(
            MEDIA_TYPES[0],
            {"type": "string"},
            "NDJSON: a transaction a line, each held to the limit of a body; the whole has none.",
        ),
        KEY_PARAMETERS,
        _RESULT,
    ),
)
