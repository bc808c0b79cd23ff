"""Replay: publishes a dead letter to the workers again. Its effect happens once, in any case.

The workers skip an id that has a row in the ledger, so a replay takes three steps:

1. delete the ledger's `rejected` row of this id and body (never an `applied` one);
2. publish the transaction unchanged: same id, same ordering key;
3. acknowledge the dead letter.

If the command dies after step 1, the dead letter is delivered again, and the next replay finds no
row to delete and publishes. If it dies after step 2, the dead letter is delivered again too. If its
transaction was applied meanwhile, the next replay finds the `applied` row and only acknowledges. If
it is still on its way, it is published twice and the workers apply one of the two, as with any
redelivery. If it was rejected again, it is replayed once more. So it is never lost, and never
applied twice.

If the ledger has the id with another body, the id is taken: publishing would end as another
`idempotency_conflict`. With `new_id` such a dead letter gets an id derived from its id and its
body, so that it too is applied once, however often it is replayed.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from ops.commands.deadletter.rejection_ledger import LaneKey, RejectionLedger
from ops.runtime import clients
from ops.runtime.letter import DeadLetter
from ops.runtime.message_key import read_message_key
from ops.runtime.settings import Settings
from schema import MAX_CALL_MESSAGES, Rejection, publish_calls, read_message, sign
from workers.dedupe import Settled

CALL_SECONDS = 10.0


class ReplayAction(StrEnum):
    REPLAY = "replay"
    ALREADY_APPLIED = "already applied"
    REFUSED = "refused"


class ReplayDecision(NamedTuple):
    """What to do with a dead letter; `id` is the id it is or was published under."""

    letter: DeadLetter
    action: ReplayAction
    id: str
    detail: str


def derived_id(letter: DeadLetter) -> str:
    """Return the id for a dead letter whose own is taken; always the same one."""
    key = f"{letter.id} {letter.sha256}"
    digits = hashlib.sha256(f"gatekeeper deadletter {key}".encode()).hexdigest()
    return f"{letter.lane:02x}8{digits[:29]}"  # as schema.derive_id, in the letter's own lane


def decide(letter: DeadLetter, outcomes: Settled, *, new_id: bool) -> ReplayDecision:
    """Decide from the ledger's outcomes of its id and of its derived id. Pure."""
    own = outcomes.get(letter.id, {})
    if _applied(letter.sha256, own):
        return _already(letter, letter.id)
    taken_by = [sha256 for sha256 in own if sha256 != letter.sha256]
    if not taken_by:
        return ReplayDecision(letter, ReplayAction.REPLAY, letter.id, "")
    if not new_id:
        how = "applied" if any(_applied(sha256, own) for sha256 in taken_by) else "rejected"
        return ReplayDecision(
            letter,
            ReplayAction.REFUSED,
            letter.id,
            f"its id is taken by another body, which was {how}: "
            "--new-id replays this one under a new id",
        )
    new = derived_id(letter)
    if _applied(letter.sha256, outcomes.get(new, {})):
        return _already(letter, new)
    return ReplayDecision(letter, ReplayAction.REPLAY, new, f"as {new}")


def _applied(body: str, outcomes: Mapping[str, Rejection | None]) -> bool:
    return body in outcomes and outcomes[body] is None


def _already(letter: DeadLetter, under: str) -> ReplayDecision:
    return ReplayDecision(letter, ReplayAction.ALREADY_APPLIED, under, f"it was applied as {under}")


class Replay:
    """Clients of the ledger and the main topic. Create it inside the running loop; `aclose` it."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic_path
        self._message_key = read_message_key(settings)
        self._ledger = RejectionLedger(settings)
        self._publisher: PublisherAsyncClient = clients.publisher(settings)

    async def aclose(self) -> None:
        self._ledger.close()
        await clients.close(self._publisher)

    async def decisions(
        self, letters: Sequence[DeadLetter], *, new_id: bool
    ) -> list[ReplayDecision]:
        """Query the ledger and decide on each dead letter; changes nothing."""
        ids = dict.fromkeys(letter.id for letter in letters)
        if new_id:
            ids |= dict.fromkeys(derived_id(letter) for letter in letters)
        outcomes = await asyncio.to_thread(self._ledger.look_up, list(ids))
        return [decide(letter, outcomes, new_id=new_id) for letter in letters]

    async def send(
        self, decisions: Iterable[ReplayDecision]
    ) -> AsyncIterator[list[ReplayDecision]]:
        """Replay; yield those whose messages Pub/Sub has confirmed, for the caller to ack.

        Raises the clients' errors; dead letters that were not yielded must be replayed again.
        """
        chosen = [each for each in decisions if each.action is ReplayAction.REPLAY]
        keys = [LaneKey(each.letter.lane, each.id, each.letter.sha256) for each in chosen]
        await asyncio.to_thread(self._ledger.delete_rejected, keys)
        for part in publish_parts(chosen):
            await self.publish(part)
            yield part

    async def publish(self, part: Sequence[ReplayDecision]) -> None:
        """Publish dead letters of one ordering key; returns when Pub/Sub has confirmed all."""
        messages = [_message(each, self._message_key) for each in part]
        await self._publisher.publish(topic=self._topic, messages=messages, timeout=CALL_SECONDS)


def _message(each: ReplayDecision, key: bytes | None = None) -> PubsubMessage:
    letter = each.letter
    # An earlier replay may have been applied already: the workers look further back for it.
    attributes = {**letter.original_attributes, "id": each.id, "copy": "possible"}
    message = PubsubMessage(
        data=letter.data, ordering_key=letter.ordering_key, attributes=attributes
    )
    if key is not None:
        own = read_message(letter.data, attributes, "", letter.received_at, letter.ordering_key)
        message.attributes.update({**own.attributes, "mac": sign(own, key)})
    return message


def _size(each: ReplayDecision) -> int:
    return int(PubsubMessage.pb(_message(each)).ByteSize())


def publish_parts(
    chosen: Iterable[ReplayDecision], max_messages: int = MAX_CALL_MESSAGES
) -> list[list[ReplayDecision]]:
    """Group into Publish calls: one ordering key each, in order, within the limits."""
    by_key: dict[str, list[ReplayDecision]] = {}
    for each in chosen:
        by_key.setdefault(each.letter.ordering_key, []).append(each)
    return [
        part for letters in by_key.values() for part in publish_calls(letters, _size, max_messages)
    ]
