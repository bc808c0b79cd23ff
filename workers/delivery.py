"""A delivery: one message as pulled, and how long it is ours."""

import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Delivery:
    """One delivered message and its lease; `lease_until` is in seconds of `time.monotonic`."""

    ack_id: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str
    publish_time: str
    lease_until: float

    @property
    def lost(self) -> bool:
        """Tell whether the lease has run out: another worker may have the message by now."""
        return time.monotonic() >= self.lease_until
