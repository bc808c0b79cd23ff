"""The routes of single transactions: read, validate, publish, answer."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web

import schema
from ops.runtime import metrics, tracing
from server.api import responses
from server.api.responses import Verdict
from server.api.route import TRANSACTION, Route, request_body
from server.api.validation import (
    KEY_PARAMETERS,
    RequestKeys,
    check_contracts,
    check_tables,
    read_keys,
    validate,
)
from server.contracts import ContractGate
from server.http import (
    IN_FLIGHT,
    SOURCE,
    FairTurns,
    Refusal,
    RequestFault,
    body,
    refusal,
    source_of,
)
from server.idempotency import (
    Claim,
    Claimed,
    KeyConflict,
    KeyRecord,
    Registry,
    RegistryFailed,
)
from server.publish import Publisher, PublishFailed

LIGHT_BYTES: Final = 32_000
LIGHT_VALUES: Final = 1_000
"""Bodies up to here are validated on the event loop, which takes a few milliseconds at most. All
others are validated in a thread: a megabyte takes a tenth of a second or more."""


class Accepted(NamedTuple):
    """A transaction's id, and its outcome: whether it is in the spool, or PublishFailed.

    `tables` is empty if it was accepted before.
    """

    id: str
    outcome: asyncio.Future[bool]
    source: str = ""
    tables: tuple[str, ...] = ()


class Validated(NamedTuple):
    """A valid transaction, and its body as it is published and answered: contracts hide values."""

    payload: bytes
    transaction: schema.Transaction


class Sender(NamedTuple):
    """Whose turn it takes (`server.http.source_of`), and the check of what it may write."""

    name: str
    check_tables: Callable[[schema.Transaction], None]


def sender_of(request: web.Request) -> Sender:
    return Sender(source_of(request), partial(check_tables, request))


class Ingest:
    """Takes transactions from a body and its keys to an outcome."""

    def __init__(  # noqa: PLR0913  # the parts of the ingest
        self,
        publisher: Publisher,
        registry: Registry,
        executor: Executor,
        gate: ContractGate,
        lanes: int = schema.LANES,
        *,
        message_key: bytes | None = None,
        traced: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publisher = publisher
        self._registry = registry
        self._executor = executor
        self._gate = gate
        self._lanes = lanes
        self._turns = FairTurns()
        self._message_key = message_key
        self._traced = traced
        self._clock = clock
        self._durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._durable.set_result(False)

    @property
    def failures(self) -> int:
        """The number of transactions that could not be published, so far."""
        return self._publisher.failures

    async def validate(
        self, payload: bytes, keys: RequestKeys, sender: Sender, *, is_sent: bool = True
    ) -> Validated:
        """Return the transaction and its body. Raises Refusal with its faults.

        With `is_sent` the report has what breaks a contract.
        """
        if is_light(payload):
            return self._validated(payload, keys, sender, is_sent=is_sent)
        loop = asyncio.get_running_loop()
        work = partial(self._validated, payload, keys, sender, is_sent=is_sent)
        async with self._turns.turn(sender.name):
            return await loop.run_in_executor(self._executor, work)

    def _validated(
        self, payload: bytes, keys: RequestKeys, sender: Sender, *, is_sent: bool
    ) -> Validated:
        transaction = validate(payload, keys)
        # First: who may not write a table does not get to know its columns.
        sender.check_tables(transaction)
        hidden = check_contracts(payload, transaction, self._gate, is_sent=is_sent)
        return Validated(hidden, transaction)

    async def enqueue(
        self, payload: bytes, transaction: schema.Transaction, keys: RequestKeys, source: str
    ) -> Accepted:
        """Queue a transaction for Pub/Sub, unless its Idempotency-Key is durable already.

        Raises Refusal: 409 for another body under the key, 503 without the registry of keys.
        """
        ordering_key = keys.ordering or transaction.default_ordering_key
        if (key := keys.idempotency) is None:
            id_ = schema.new_id(ordering_key, self._lanes)
            outcome = self._publish(payload, source, ordering_key, id_)
            return Accepted(id_, outcome, source, transaction.tables)
        id_ = schema.derive_id(source, ordering_key, key, self._lanes)
        wanted = KeyRecord(hashlib.sha256(payload).hexdigest(), ordering_key, id_)
        first, claimed = await self._claim(source, key, wanted)
        if claimed is Claimed.PUBLISHED:
            return Accepted(first.id, self._durable)
        outcome = self._publish(
            payload, source, first.ordering_key, first.id, copy_possible=claimed is Claimed.AGAIN
        )
        outcome.add_done_callback(
            lambda ended: self._registry.settle(source, key, published=_succeeded(ended))
        )
        return Accepted(first.id, outcome, source, transaction.tables)

    async def _claim(self, source: str, key: str, wanted: KeyRecord) -> Claim:
        try:
            return await self._registry.claim(source, key, wanted)
        except KeyConflict:
            why = "the key came with another body before: use a new key for another transaction"
            raise Refusal(
                refusal.IDEMPOTENCY_CONFLICT, RequestFault("idempotency_key", why, key[:100])
            ) from None
        except RegistryFailed as failure:
            why = f"the registry of Idempotency-Keys cannot be used now: {failure}"
            raise refusal.unavailable(why, 5) from None

    def _publish(
        self,
        payload: bytes,
        source: str,
        ordering_key: str,
        id_: str,
        *,
        copy_possible: bool = False,
    ) -> asyncio.Future[bool]:
        message = schema.compose_message(
            payload,
            id=id_,
            source=source,
            received_at=self._clock().isoformat(timespec="milliseconds"),
            ordering_key=ordering_key,
            lanes=self._lanes,
        )
        if copy_possible:
            message = message._replace(copy_possible=True)
        if self._message_key is not None:
            message = message._replace(signature=schema.sign(message, self._message_key))
        if not self._traced:
            return self._publisher.enqueue(message)
        span = tracing.begin_transaction(id_)
        traced = message._replace(traceparent=tracing.traceparent(span))
        outcome = self._publisher.enqueue(traced)
        tracing.end_with(span, outcome)
        return outcome


def _succeeded(outcome: asyncio.Future[bool]) -> bool:
    return not outcome.cancelled() and outcome.exception() is None


INGEST: Final = web.AppKey("ingest", Ingest)


def is_light(payload: bytes) -> bool:
    """Return whether a body is little work: the work grows with its values more than its bytes."""
    return (
        len(payload) <= LIGHT_BYTES
        and payload.count(b",") + payload.count(b"[") + payload.count(b"{") <= LIGHT_VALUES
    )


async def confirmed(payload: bytes, accepted: Accepted) -> Verdict:
    """Wait for a transaction's outcome, and count it. Raises Refusal if it was not published."""
    try:
        spooled = await accepted.outcome
    except PublishFailed as failure:
        raise refusal.unavailable(str(failure), failure.retry_after) from None
    if accepted.tables:
        metrics.count_transaction("accepted", accepted.source, accepted.tables)
    return responses.valid(payload, accepted.id, spooled=spooled, tables=accepted.tables)


async def post_activity(request: web.Request) -> web.StreamResponse:
    """Answer 200 when the transaction is durable, in Pub/Sub or in the spool."""
    ingest = request.app[INGEST]
    payload, keys = await _read(request)
    sender = sender_of(request)
    with request.app[IN_FLIGHT].requests.holding(sender.name):
        valid = await ingest.validate(payload, keys, sender)
        accepted = await ingest.enqueue(*valid, keys, request.get(SOURCE, ""))
        return (await confirmed(valid.payload, accepted)).response()


async def validate_activity(request: web.Request) -> web.StreamResponse:
    """Answer the verdict that POST /api/activities would, without an id; publish nothing."""
    payload, keys = await _read(request)
    sender = sender_of(request)
    with request.app[IN_FLIGHT].requests.holding(sender.name):
        valid = await request.app[INGEST].validate(payload, keys, sender, is_sent=False)
    return responses.valid(valid.payload, None).response()


async def _read(request: web.Request) -> tuple[bytes, RequestKeys]:
    body.check_type(request)
    return await body.read(request), read_keys(request.headers)


_BODY = request_body(
    "application/json",
    {"$ref": TRANSACTION},
    "One transaction in UTF-8, as it is or with `Content-Encoding: gzip` or `deflate`.",
)
_ANSWERS = (responses.INVALID_SCHEMA, *body.REFUSALS, refusal.UNAVAILABLE)

ROUTES: Final = (
    Route(
        "POST",
        "/api/activities",
        post_activity,
        (responses.ACCEPTED, *_ANSWERS, refusal.IDEMPOTENCY_CONFLICT),
        _BODY,
        KEY_PARAMETERS,
    ),
    Route(
        "POST",
        "/api/activities/validate",
        validate_activity,
        (responses.VALID, *_ANSWERS),
        _BODY,
        KEY_PARAMETERS,
    ),
)
