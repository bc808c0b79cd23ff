"""Dead letters: rejected transactions, published whole with the reason, for a person.

Published after the rejection is in the ledger and before the ack. A worker that dies in between
leaves a redelivery, which the ledger recognises as rejected, and which is published then: a dead
letter may come twice (its `id` tells), it is never missing.

Whatever is in a message, its letter has an end. What Pub/Sub refuses goes as a trimmed copy, and
what it refuses even then is written to a file of `STATE_DIR/quarantined`.
"""

import base64
import hashlib
import json
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from google.api_core.exceptions import InvalidArgument, ServiceUnavailable
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from ops.runtime import log
from ops.runtime.retry import policy
from ops.runtime.warehouse_errors import is_transient_rpc
from schema import (
    MAX_ATTRIBUTE_BYTES,
    MAX_ATTRIBUTES,
    MAX_CALL_BYTES,
    Rejection,
    lane_name,
    publish_calls,
)
from workers.outcomes import Outcome

PUBLISH_SECONDS = 10.0

OWN_ATTRIBUTES: Final = ("id", "source", "received_at", "sha256", "ordering_key", "copy", "mac")
"""They are kept before all others where not all fit."""

TRIMMED: Final = "trimmed"
"""The attribute of a letter that lacks attributes, or the end of the data: it names which."""

_ADDED: Final = 3  # reason, error, trimmed

logger = log.get(__name__)


def _message(outcome: Outcome, rejection: Rejection) -> PubsubMessage:
    delivery, message = outcome.message.delivery, outcome.message.message
    # The ledger's id, which is Pub/Sub's own where the message has none or an unusable one.
    given = {**delivery.attributes, "id": message.id}
    kept = dict(sorted(given.items(), key=_own_first)[: MAX_ATTRIBUTES - _ADDED])
    if len(kept) < len(given):
        kept[TRIMMED] = "attributes"
    error = rejection.error.encode(errors="replace")[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
    return PubsubMessage(
        data=delivery.data,
        # Whatever key it came with: a replay goes to the same lane, whose ledger has its row.
        ordering_key=lane_name(message.lane),
        attributes={**kept, "reason": rejection.reason.value, "error": error},
    )


def _own_first(attribute: tuple[str, str]) -> int:
    name = attribute[0]
    return OWN_ATTRIBUTES.index(name) if name in OWN_ATTRIBUTES else len(OWN_ATTRIBUTES)


def _trimmed(message: PubsubMessage) -> PubsubMessage:
    """Return a copy with our own attributes only, and with data that a call has room for."""
    own = {*OWN_ATTRIBUTES, "reason", "error"}
    attributes = {
        name: value.encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")
        for name, value in message.attributes.items()
        if name in own
    }
    most = MAX_CALL_BYTES - (len(attributes) + 1) * (MAX_ATTRIBUTE_BYTES + 100)
    cut = len(message.data) > most
    attributes[TRIMMED] = "attributes, data" if cut else "attributes"
    return PubsubMessage(
        data=message.data[:most], ordering_key=message.ordering_key, attributes=attributes
    )


def _size(message: PubsubMessage) -> int:
    return int(PubsubMessage.pb(message).ByteSize())


@dataclass(eq=False)
class DeadLetters:
    """The dead-letter topic; `folder` takes what it refuses."""

    client: PublisherAsyncClient
    topic: str
    _: KW_ONLY
    seconds: float
    folder: Path

    async def publish(self, outcomes: list[Outcome]) -> None:
        """Publish the rejected ones of some outcomes; returns when Pub/Sub has confirmed all.

        Raises `google.api_core.exceptions.GoogleAPICallError` when it does not within the time.
        """
        by_key: dict[str, list[PubsubMessage]] = {}
        for outcome in outcomes:
            if outcome.rejection is not None:
                message = _message(outcome, outcome.rejection)
                by_key.setdefault(message.ordering_key, []).append(message)
        for part in chain.from_iterable(publish_calls(each, _size) for each in by_key.values()):
            try:
                await self._send(part)
            except InvalidArgument:
                for message in part:
                    await self._publish_alone(message)

    async def _publish_alone(self, message: PubsubMessage) -> None:
        for copy in (message, _trimmed(message)):
            try:
                await self._send([copy])
            except InvalidArgument as error:
                refusal = error
            else:
                return
        self._quarantine(message, str(refusal))

    def _quarantine(self, message: PubsubMessage, error: str) -> None:
        """Write a message to its own file; the same message goes to the same file."""
        text = json.dumps(
            {
                "attributes": dict(message.attributes),
                "ordering_key": message.ordering_key,
                "refused": error,
                "data": base64.b64encode(message.data).decode(),
            }
        )
        name = hashlib.sha256(message.attributes["id"].encode() + message.data).hexdigest()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / f"{name}.json").write_text(text)
        except OSError as failure:  # the batch is held until the disk has room
            raise ServiceUnavailable(f"{self.folder}: {failure}") from failure
        logger.error("dead_letter_quarantined", file=f"{self.folder}/{name}.json", error=error)

    async def _send(self, messages: list[PubsubMessage]) -> None:
        retrying = policy("dead_letter", is_transient_rpc, attempts=10, seconds=self.seconds)
        publish = partial(self.client.publish, retry=None, timeout=PUBLISH_SECONDS)
        await retrying(publish, topic=self.topic, messages=messages)
