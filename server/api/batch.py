"""`POST /api/activities/batch`: NDJSON, a transaction a line, a verdict for each, in order.

Neither the body nor the answer is ever complete in memory. Verdicts are kept, in a temporary file
when they are many, until the last line has arrived: a client may read only after it has sent all.
After a line that could not be published, later lines are not tried: none may overtake it.
"""

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Final, NamedTuple

from aiohttp import web

from server.api import responses
from server.api.activities import INGEST, Accepted, confirmed, sender_of
from server.api.batch_results import BatchResults
from server.api.line_splitter import LineSplitter
from server.api.responses import HEADERS, Verdict
from server.api.route import RESULT, Route, closed_object, request_body
from server.api.validation import KEY_PARAMETERS, RequestKeys, read_keys
from server.http import (
    API_KEY,
    BODY_LIMITS,
    IN_FLIGHT,
    RATE_LIMITS,
    SOURCE,
    BodyLimits,
    Refusal,
    body,
    check_key_again,
    name_request,
    refusal,
    source_of,
    steps_of,
)

MEDIA_TYPES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")

WINDOW_LINES: Final = 500
"""Lines queued for Pub/Sub and not yet confirmed."""

WINDOW_BYTES: Final = 4_000_000
_DETAILED_BYTES = 50_000_000  # of verdicts; from then on each names one fault


async def post_batch(request: web.Request) -> web.StreamResponse:
    """Answer `{"accepted", "rejected", "results"}` when every line has its verdict."""
    body.check_type(request, *MEDIA_TYPES)
    keys = read_keys(request.headers)
    if keys.faults:
        raise Refusal(responses.INVALID_SCHEMA, *keys.faults)
    with request.app[IN_FLIGHT].batches.holding(source_of(request)), BatchResults() as results:
        lines = _Lines(request, keys, results)
        await _read_all(request, lines, request.app[BODY_LIMITS])
        await lines.finish()
        return await _answer(request, results)


async def _read_all(request: web.Request, lines: "_Lines", limits: BodyLimits) -> None:
    """Add every line; each may take `limits.seconds` to arrive."""
    loop = asyncio.get_running_loop()
    steps = steps_of(request)
    splitter = LineSplitter(limits.max_bytes, limits.batch_lines)
    try:
        async with (
            asyncio.timeout(limits.seconds) as timeout,
            aclosing(body.stream(request, limits.batch_bytes)) as parts,
        ):
            async for part in parts:
                for line in splitter.feed(part):
                    check_key_again(request)
                    await lines.add(line, limits.max_bytes)
                    timeout.reschedule(loop.time() + limits.seconds)
                    await steps.next()
            for line in splitter.end():
                await lines.add(line, limits.max_bytes)
    except TimeoutError:
        await lines.break_off(refusal.too_slow(limits.seconds))
    except Refusal as refused:
        if lines.count == 0:
            raise
        await lines.break_off(refused)


class _Queued(NamedTuple):
    """A line that is queued for Pub/Sub."""

    accepted: Accepted
    size: int


class _Lines:
    """The lines of one body, in order, from their arrival to their verdicts."""

    def __init__(self, request: web.Request, keys: RequestKeys, results: BatchResults) -> None:
        self.count = 0
        """Lines that have arrived."""
        self._ingest = ingest = request.app[INGEST]
        self._sender = sender_of(request)
        self._keys = keys
        self._source = request.get(SOURCE, "")
        self._api_key = request.get(API_KEY)
        self._rate_limits = request.app.get(RATE_LIMITS)
        self._results = results
        self._pending: deque[Verdict | _Queued] = deque()
        self._pending_bytes = 0
        self._stopped = False
        self._failures = ingest.failures

    async def add(self, line: bytes | None, max_bytes: int) -> None:
        """Validate and queue a line, None if it is too long; wait while the window is full."""
        self.count += 1
        try:
            if line is None:
                raise refusal.too_large(f"a line holds at most {max_bytes:,} bytes")
            await self._wait_for_rate()
            queued = await self._enqueue(line)
        except Refusal as refused:
            self._pending.append(self._refused(refused))
        else:
            self._pending.append(queued)
            self._pending_bytes += queued.size
        while self._pending and (
            len(self._pending) > WINDOW_LINES
            or self._pending_bytes > WINDOW_BYTES
            or _is_settled(self._pending[0])
        ):
            await self._settle_oldest()

    def _refused(self, refused: Refusal) -> Verdict:
        detailed = self._results.bytes < _DETAILED_BYTES
        return responses.refused(refused, responses.MAX_FAULTS if detailed else 1)

    async def _wait_for_rate(self) -> None:
        """Wait for the API key's rate: a line counts as a request."""
        if self._api_key is None or self._rate_limits is None or self._stopped:
            return
        try:
            await self._rate_limits.pace(self._api_key)
        except Refusal:
            self._stopped = True
            raise

    async def _enqueue(self, line: bytes) -> _Queued:
        keys = self._keys
        if keys.idempotency is not None:
            # The batch's key identifies the file, the number its line: sent again, they match.
            keys = keys._replace(idempotency=f"{keys.idempotency}/{self.count}")
        valid = await self._ingest.validate(line, keys, self._sender)
        if self._stopped or self._has_failed():
            self._stopped = True
            raise refusal.unavailable("not tried: an earlier line was not accepted", 5)
        accepted = await self._ingest.enqueue(*valid, keys, self._source)
        return _Queued(accepted, len(valid.payload))

    def _has_failed(self) -> bool:
        """Return whether a pending line has failed already; does not block."""
        if self._ingest.failures == self._failures:  # no request's line has
            return False
        self._failures = self._ingest.failures
        return any(
            isinstance(each, _Queued)
            and each.accepted.outcome.done()
            and each.accepted.outcome.exception() is not None
            for each in self._pending
        )

    async def break_off(self, reason: Refusal) -> None:
        """End the results with the reason why the rest of the body could not be read."""
        await self.finish()
        await self._results.add(responses.refused(reason))

    async def finish(self) -> None:
        """Wait for every pending line."""
        while self._pending:
            await self._settle_oldest()

    async def _settle_oldest(self) -> None:
        verdict = self._pending.popleft()
        if isinstance(verdict, _Queued):
            queued = verdict
            self._pending_bytes -= queued.size
            try:
                verdict = await confirmed(b"null", queued.accepted)
            except Refusal as refused:
                self._stopped = True
                verdict = self._refused(refused)
        await self._results.add(verdict)


def _is_settled(pending: Verdict | _Queued) -> bool:
    return isinstance(pending, Verdict) or pending.accepted.outcome.done()


async def _answer(request: web.Request, results: BatchResults) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    if request.app[IN_FLIGHT].draining:
        response.force_close()
    counts = (results.accepted, results.rejected)
    part = b'{"accepted": %d, "rejected": %d, "results": [' % counts
    await results.rewind()
    name_request(request, response)
    await response.prepare(request)
    while part:  # a client that reads nothing is disconnected: server.http.connection
        await response.write(part)
        part = await results.read()
    await response.write(b"]}")
    return response


_RESULT = closed_object(
    {
        "accepted": {"type": "integer", "minimum": 0},
        "rejected": {"type": "integer", "minimum": 0},
        "results": {
            "type": "array",
            "items": {"$ref": RESULT},
            "description": "A verdict for each line, in order; blank lines have none.",
        },
    }
)
ROUTES: Final = (
    Route(
        "POST",
        "/api/activities/batch",
        post_batch,
        (responses.INVALID_SCHEMA, *body.REFUSALS, refusal.UNAVAILABLE),
        request_body(
            MEDIA_TYPES[0],
            {"type": "string"},
            "NDJSON: a transaction a line. The limit of a body holds for each line; all have"
            " NDJSON_MAX_BYTES and NDJSON_MAX_LINES.",
        ),
        KEY_PARAMETERS,
        _RESULT,
    ),
)
