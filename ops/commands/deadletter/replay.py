"""Replay: a dead letter goes back to the workers, once in effect however often it is replayed.

The workers' guard refuses an id that the ledger has a row for, so a replay takes three steps:

1. delete the ledger's `rejected` row of this id and body (never an `applied` one);
2. publish the transaction as it was, under the same id, with the same ordering key;
3. acknowledge the dead letter.

Killed after 1: the letter comes back, and a second replay finds no row to delete and publishes.
Killed after 2: the letter comes back. When its transaction has been applied meanwhile, the second
replay finds the `applied` row and only acknowledges; when it is still on its way, it is published
again, and the guard lets one of the two through, as with any redelivery. When it was rejected
again, it is simply tried once more. In no window is it lost, and none applies it twice.

An id that the ledger holds with another body is taken: publishing would end as an
`idempotency_conflict` again. With `new_id` such a letter gets an id of its own, derived from its id
and its body, so that this too is applied once however often it is replayed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from ops.commands.deadletter.letter import Letter
from ops.commands.deadletter.rejections import Ledger, Rows
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import MAX_CALL_MESSAGES, derive_id, publish_calls
from workers.ledger import Settled

CALL_SECONDS = 10.0


class Action(StrEnum):
    """What becomes of a dead letter that is to be replayed."""

    REPLAY = "replay"
    ALREADY_APPLIED = "already applied"
    REFUSED = "refused"


class Decision(NamedTuple):
    """One letter's action; `id` is the one that it is, or was, published under."""

    letter: Letter
    action: Action
    id: str
    detail: str


def derived_id(letter: Letter) -> str:
    """Return the id that a letter gets when its own is taken; the same whenever it is asked."""
    return derive_id("gatekeeper deadletter", f"{letter.id} {letter.sha256}")


def decide(letter: Letter, rows: Rows, *, new_id: bool) -> Decision:
    """Decide on a letter by what the ledger holds of its id, and of its derived id. Pure."""
    own = rows.get(letter.id, {})
    if _applied(own.get(letter.sha256)):
        return _already(letter, letter.id)
    taken_by = [outcome for sha256, outcome in own.items() if sha256 != letter.sha256]
    if not taken_by:
        return Decision(letter, Action.REPLAY, letter.id, "")
    if not new_id:
        how = "applied" if any(map(_applied, taken_by)) else "rejected"
        return Decision(
            letter,
            Action.REFUSED,
            letter.id,
            f"its id is taken by another body, which was {how}: "
            "--new-id replays this one under an id of its own",
        )
    fresh = derived_id(letter)
    if _applied(rows.get(fresh, {}).get(letter.sha256)):
        return _already(letter, fresh)
    return Decision(letter, Action.REPLAY, fresh, f"as {fresh}")


def _applied(outcome: Settled | None) -> bool:
    return outcome is not None and outcome.rejection is None


def _already(letter: Letter, under: str) -> Decision:
    return Decision(letter, Action.ALREADY_APPLIED, under, f"it was applied as {under}")


class Replay:
    """The ledger and the main topic, for letters that go back. Made inside the running loop."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic_path
        self._ledger = Ledger(settings)
        self._publisher: PublisherAsyncClient = clients.publisher(settings)

    async def close(self) -> None:
        """Close both clients."""
        self._ledger.close()
        await clients.close(self._publisher)

    async def decisions(self, letters: Sequence[Letter], *, new_id: bool) -> list[Decision]:
        """Ask the ledger about letters, and decide on each; changes nothing."""
        ids = dict.fromkeys(letter.id for letter in letters)
        if new_id:
            ids |= dict.fromkeys(derived_id(letter) for letter in letters)
        rows = await asyncio.to_thread(self._ledger.look_up, list(ids))
        return [decide(letter, rows, new_id=new_id) for letter in letters]

    async def send(self, decisions: Iterable[Decision]) -> AsyncIterator[list[Letter]]:
        """Replay what is decided so; yield the letters that Pub/Sub has confirmed, to be acked.

        Raises what the clients raise; letters not yielded by then are to be replayed again.
        """
        chosen = [each for each in decisions if each.action is Action.REPLAY]
        keys = [(each.id, each.letter.sha256) for each in chosen]
        await asyncio.to_thread(self._ledger.forget_rejected, keys)
        for part in parts(chosen):
            await self.publish(part)
            yield [each.letter for each in part]

    async def publish(self, part: Sequence[Decision]) -> None:
        """Publish letters of one ordering key; returns when Pub/Sub has confirmed all."""
        messages = [_message(each) for each in part]
        await self._publisher.publish(topic=self._topic, messages=messages, timeout=CALL_SECONDS)


def _message(each: Decision) -> PubsubMessage:
    return PubsubMessage(
        data=each.letter.data,
        ordering_key=each.letter.ordering_key,
        attributes={**each.letter.original_attributes, "id": each.id},
    )


def _size(each: Decision) -> int:
    return int(PubsubMessage.pb(_message(each)).ByteSize())


def parts(
    chosen: Iterable[Decision], max_messages: int = MAX_CALL_MESSAGES
) -> list[list[Decision]]:
    """Part letters into Publish calls: one ordering key each, in order, within the limits."""
    by_key: dict[str, list[Decision]] = {}
    for each in chosen:
        by_key.setdefault(each.letter.ordering_key, []).append(each)
    return [
        part for letters in by_key.values() for part in publish_calls(letters, _size, max_messages)
    ]
