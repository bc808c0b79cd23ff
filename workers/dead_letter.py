"""Dead letters: what was rejected for good, published whole with its reason, for people to look at.

Published after the rejection is in the ledger and before the ack. A worker that dies in between
leaves a redelivery, which the ledger recognises as rejected, and which is published then: a dead
letter may come twice (its `id` tells), it is never missing.
"""

from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from ops.runtime.retry import policy
from schema import MAX_ATTRIBUTE_BYTES, Rejection, lane_name, publish_calls
from workers.commit import Outcome
from workers.errors import is_transient_rpc

PUBLISH_SECONDS = 10.0


def _message(outcome: Outcome, rejection: Rejection) -> PubsubMessage:
    delivery, message = outcome.message.delivery, outcome.message.message
    error = rejection.error.encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
    given = dict(delivery.attributes)
    given.setdefault("id", message.id)  # of a foreign publisher's message: Pub/Sub's own id
    return PubsubMessage(
        data=delivery.data,
        # Whatever key it came with: a replay goes to the same lane, whose ledger has its row.
        ordering_key=lane_name(message.lane),
        attributes={**given, "reason": rejection.reason.value, "error": error},
    )


def _size(message: PubsubMessage) -> int:
    return int(PubsubMessage.pb(message).ByteSize())


class DeadLetters:
    """The dead-letter topic."""

    def __init__(self, client: PublisherAsyncClient, topic: str, *, seconds: float) -> None:
        self._client = client
        self._topic = topic
        self._seconds = seconds

    async def publish(self, outcomes: list[Outcome]) -> None:
        """Publish the rejected ones of some outcomes; returns when Pub/Sub has confirmed all.

        Raises `google.api_core.exceptions.GoogleAPICallError` when it does not within the time.
        """
        by_key: dict[str, list[PubsubMessage]] = {}
        for outcome in outcomes:
            if outcome.rejection is not None:
                message = _message(outcome, outcome.rejection)
                by_key.setdefault(message.ordering_key, []).append(message)
        for messages in by_key.values():
            for part in publish_calls(messages, _size):
                await self._send(part)

    async def _send(self, messages: list[PubsubMessage]) -> None:
        retrying = policy("dead_letter", is_transient_rpc, attempts=10, seconds=self._seconds)
        await retrying(
            self._client.publish,
            topic=self._topic,
            messages=messages,
            retry=None,
            timeout=PUBLISH_SECONDS,
        )
