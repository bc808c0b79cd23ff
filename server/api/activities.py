"""The routes of single transactions: read, judge, publish, answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

import schema
from server.api import responses as kinds
from server.api import verdict
from server.api.route import TRANSACTION, Body, Route
from server.api.validation import KEY_PARAMETERS, Keys, judge, read_keys
from server.api.verdict import Verdict
from server.http import body
from server.http.middleware import GATE
from server.publish.publisher import Publisher, PublishFailed

LARGE_BYTES: Final = 32_000
"""From here on a body is judged beside the loop: a megabyte takes a tenth of a second and more."""

SOURCE: Final = web.RequestKey("source", str)
"""The name of the API key that the request came with."""


def now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


class Ingest:
    """Takes transactions: from a body and its keys to a verdict."""

    def __init__(
        self,
        publisher: Publisher,
        judges: Executor,
        max_body_bytes: int,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self._publisher = publisher
        self._judges = judges
        self._clock = clock

    @property
    def failures(self) -> int:
        """How many transactions Pub/Sub has not taken, so far."""
        return self._publisher.failures

    async def judge(self, payload: bytes, keys: Keys) -> schema.Transaction:
        """Return the transaction that meets the rule; raises Refused with every fault."""
        if len(payload) < LARGE_BYTES:
            return judge(payload, keys)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._judges, judge, payload, keys)

    def hand_over(
        self, payload: bytes, transaction: schema.Transaction, keys: Keys, source: str
    ) -> tuple[str, asyncio.Future[bool]]:
        """Put a transaction in line for Pub/Sub, now; return its id and its outcome to come.

        That is whether it is spooled, or PublishFailed.
        """
        message = schema.compose_message(
            payload,
            transaction,
            id=_id(source, keys),
            source=source,
            received_at=self._clock().isoformat(timespec="milliseconds"),
            ordering_key=keys.ordering,
        )
        return message.id, self._publisher.hand_over(message)


INGEST: Final = web.AppKey("ingest", Ingest)


def _id(source: str, keys: Keys) -> str:
    if keys.idempotency is None:
        return schema.new_id()
    return schema.derive_id(source, keys.idempotency)


async def confirmed(payload: bytes, id: str, outcome: asyncio.Future[bool]) -> Verdict:  # noqa: A002  # the contract's word
    """Wait for a transaction's outcome and return its verdict."""
    try:
        spooled = await outcome
    except PublishFailed as failure:
        return verdict.unavailable(str(failure), failure.retry_after)
    return verdict.valid(payload, id, spooled=spooled)


async def accept(request: web.Request) -> web.StreamResponse:
    """Answer 200 when Pub/Sub has confirmed the transaction, or the spool has it."""
    ingest = request.app[INGEST]
    payload, keys = await _read(request, ingest)
    with request.app[GATE].requests:
        transaction = await ingest.judge(payload, keys)
        source = request.get(SOURCE, "")
        outcome = ingest.hand_over(payload, transaction, keys, source)
        return (await confirmed(payload, *outcome)).response()


async def validate(request: web.Request) -> web.StreamResponse:
    """Answer what `accept` would, and publish nothing; so there is no id."""
    ingest = request.app[INGEST]
    payload, keys = await _read(request, ingest)
    with request.app[GATE].requests:
        await ingest.judge(payload, keys)
    return verdict.valid(payload, None).response()


async def _read(request: web.Request, ingest: Ingest) -> tuple[bytes, Keys]:
    body.check_type(request)
    return await body.read(request, ingest.max_body_bytes), read_keys(request.headers)


_TRANSACTION = Body(
    "application/json",
    {"$ref": TRANSACTION},
    "One transaction in UTF-8; `Content-Encoding: gzip` or `deflate` is undone.",
)
_ANSWERS = (
    kinds.VALID,
    kinds.INVALID_SCHEMA,
    *body.REFUSALS,
    kinds.UNAVAILABLE,
)
ROUTES: Final = (
    Route("POST", "/api/activities", accept, _ANSWERS, _TRANSACTION, KEY_PARAMETERS),
    Route("POST", "/api/activities/validate", validate, _ANSWERS, _TRANSACTION, KEY_PARAMETERS),
)
