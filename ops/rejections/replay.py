"""Replay: publishes a rejected transaction to the workers again. It is applied once, in any case.

The workers skip an id that has a row in the ledger, so a replay takes three steps:

1. delete the ledger's `rejected` row of this id and body (never an `applied` one);
2. publish the transaction as a server does: same id, same ordering key, so the same lane;
3. mark its row in `gatekeeper_rejected` as replayed, once Pub/Sub has confirmed it.

If the command dies after step 1 or 2, the row is still open. The next replay finds no row to delete
and publishes. If the transaction was applied meanwhile, the next replay finds the `applied` row and
only does step 3. If it is still on its way, it is published twice and the workers apply one of the
two, as with any redelivery. If it was rejected again, it has a new row. So it is never lost, and
never applied twice.

If the ledger has the id with another body, the id is taken: publishing would end as another
`idempotency_conflict`. With `new_id` such a transaction gets an id derived from its id and its
body, so that it too is applied once, however often it is replayed.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from ops.rejections.rejection_ledger import LaneKey, RejectionLedger
from ops.rejections.stored_rejection import StoredRejection
from ops.runtime import clients
from ops.runtime.message_key import read_message_key
from ops.runtime.settings import Settings
from schema import (
    MAX_CALL_MESSAGES,
    MAX_RAW_BYTES,
    Message,
    Rejection,
    Settled,
    lane_name,
    publish_calls,
    sign,
)

CALL_SECONDS = 10.0


class ReplayAction(StrEnum):
    REPLAY = "replay"
    ALREADY_APPLIED = "already applied"
    REFUSED = "refused"


class ReplayDecision(NamedTuple):
    """What to do with a rejection; `id` is the id it is or was published under."""

    rejected: StoredRejection
    action: ReplayAction
    id: str
    detail: str


def derived_id(rejected: StoredRejection) -> str:
    """Return the id for a transaction whose own is taken; always the same one."""
    key = f"{rejected.id} {rejected.sha256}"
    digits = hashlib.sha256(f"gatekeeper deadletter {key}".encode()).hexdigest()
    return f"{rejected.lane:02x}8{digits[:29]}"  # as schema.derive_id, in its own lane


def decide(rejected: StoredRejection, outcomes: Settled, *, new_id: bool) -> ReplayDecision:
    """Decide from the ledger's outcomes of its id and of its derived id. Pure."""
    own = outcomes.get(rejected.id, {})
    if _applied(rejected.sha256, own):
        return _already(rejected, rejected.id)
    taken_by = [sha256 for sha256 in own if sha256 != rejected.sha256]
    if not taken_by:
        return _replayed(rejected, rejected.id, "")
    if not new_id:
        how = "applied" if any(_applied(sha256, own) for sha256 in taken_by) else "rejected"
        return _refused(
            rejected,
            f"its id is taken by another body, which was {how}: "
            "--new-id replays this one under a new id",
        )
    new = derived_id(rejected)
    if _applied(rejected.sha256, outcomes.get(new, {})):
        return _already(rejected, new)
    return _replayed(rejected, new, f"as {new}")


def _applied(body: str, outcomes: Mapping[str, Rejection | None]) -> bool:
    return body in outcomes and outcomes[body] is None


def _already(rejected: StoredRejection, under: str) -> ReplayDecision:
    detail = f"it was applied as {under}"
    return ReplayDecision(rejected, ReplayAction.ALREADY_APPLIED, under, detail)


def _refused(rejected: StoredRejection, detail: str) -> ReplayDecision:
    return ReplayDecision(rejected, ReplayAction.REFUSED, rejected.id, detail)


def _replayed(rejected: StoredRejection, under: str, detail: str) -> ReplayDecision:
    if missing := missing_body(rejected):
        return _refused(rejected, f"{missing}: its source must send it again")
    return ReplayDecision(rejected, ReplayAction.REPLAY, under, detail)


def missing_body(rejected: StoredRejection) -> str:
    """Return why a row that was read with its body has none, or ""."""
    if rejected.data is not None:
        return ""
    return f"its body of {rejected.body_bytes:,} bytes is not stored (at most {MAX_RAW_BYTES:,})"


class Replay:
    """Publishes to the main topic. Create it inside the running loop; `aclose` it."""

    def __init__(self, settings: Settings, ledger: RejectionLedger) -> None:
        self._topic = settings.topic_path
        self._message_key = read_message_key(settings)
        self._ledger = ledger
        self._publisher: PublisherAsyncClient = clients.publisher(settings)

    async def aclose(self) -> None:
        await clients.close(self._publisher)

    async def decisions(
        self, rejections: Sequence[StoredRejection], *, new_id: bool
    ) -> list[ReplayDecision]:
        """Query the ledger and decide on each; changes nothing."""
        ids = dict.fromkeys(each.id for each in rejections)
        if new_id:
            ids |= dict.fromkeys(derived_id(each) for each in rejections)
        outcomes = await asyncio.to_thread(self._ledger.look_up, list(ids))
        return [decide(each, outcomes, new_id=new_id) for each in rejections]

    async def carry_out(
        self, decisions: Sequence[ReplayDecision]
    ) -> AsyncIterator[list[ReplayDecision]]:
        """Do what was decided; yield part by part what is done: first what was applied already.

        Raises the clients' errors; what was not yielded is still open, and can be replayed again.
        """
        applied = [each for each in decisions if each.action is ReplayAction.ALREADY_APPLIED]
        if applied:
            await self._resolve(applied)
            yield applied
        async for part in self._send(decisions):
            await self._resolve(part)
            yield part

    async def _resolve(self, done: Iterable[ReplayDecision]) -> None:
        rows = [each.rejected for each in done]
        await asyncio.to_thread(self._ledger.resolve, rows, "replayed")

    async def _send(
        self, decisions: Iterable[ReplayDecision]
    ) -> AsyncIterator[list[ReplayDecision]]:
        """Replay; yield those whose messages Pub/Sub has confirmed."""
        chosen = [each for each in decisions if each.action is ReplayAction.REPLAY]
        keys = [LaneKey(each.rejected.lane, each.id, each.rejected.sha256) for each in chosen]
        await asyncio.to_thread(self._ledger.delete_rejected, keys)
        for part in publish_parts(chosen):
            await self.publish(part)
            yield part

    async def publish(self, part: Sequence[ReplayDecision]) -> None:
        """Publish transactions of one lane; returns when Pub/Sub has confirmed all."""
        messages = [message_of(each, self._message_key) for each in part]
        # Without the client's own retries, of a minute: a person waits, and can replay again.
        await self._publisher.publish(
            topic=self._topic, messages=messages, retry=None, timeout=CALL_SECONDS
        )


def message_of(each: ReplayDecision, key: bytes | None = None) -> PubsubMessage:
    """Return the message as a server builds it, signed if there is a key."""
    row = each.rejected
    message = Message(
        row.data or b"",
        each.id,
        row.source,
        row.received_at.isoformat() if row.received_at else "",
        row.sha256,
        row.ordering_key,
        row.lane,
        # An earlier replay may have been applied already: the workers look further back for it.
        copy_possible=True,
    )
    if key is not None:
        message = message._replace(signature=sign(message, key))
    return PubsubMessage(
        data=message.data, ordering_key=lane_name(row.lane), attributes=message.attributes
    )


def _size(each: ReplayDecision) -> int:
    return int(PubsubMessage.pb(message_of(each)).ByteSize())


def publish_parts(
    chosen: Iterable[ReplayDecision], max_messages: int = MAX_CALL_MESSAGES
) -> list[list[ReplayDecision]]:
    """Group into Publish calls: one lane each, in order, within the limits."""
    by_lane: dict[int, list[ReplayDecision]] = {}
    for each in chosen:
        by_lane.setdefault(each.rejected.lane, []).append(each)
    return [part for own in by_lane.values() for part in publish_calls(own, _size, max_messages)]
