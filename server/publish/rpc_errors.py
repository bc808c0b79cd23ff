"""What each failure of a call to Pub/Sub means, in one table."""

from enum import Enum, auto
from typing import Final

import grpc


class CallOutcome(Enum):
    """Why a call failed, as far as it decides what to do next."""

    UNREACHABLE = auto()  # Pub/Sub cannot be reached, or is restarting
    UNANSWERED = auto()  # no answer in time: whether the messages were published is unknown
    BUSY = auto()  # Pub/Sub answered, and the same call may succeed in a moment
    EXPIRED = auto()  # the message's own time was over before the call
    REFUSED = auto()  # Pub/Sub refuses the request itself: one of its messages
    PERMANENT = auto()  # the same call fails until somebody changes the setup, or it is a bug

    @property
    def transient(self) -> bool:
        """Whether Pub/Sub may take the same messages later."""
        return self not in {CallOutcome.REFUSED, CallOutcome.PERMANENT}


# https://cloud.google.com/pubsub/docs/reference/error-codes. Where the answer is lost, a message
# may be published although its call failed; it then goes out twice under one id, and the workers
# apply it once.
_OUTCOMES: Final = {
    grpc.StatusCode.ABORTED: CallOutcome.BUSY,  # a conflict inside the service
    grpc.StatusCode.CANCELLED: CallOutcome.BUSY,  # by the service or a proxy, never by us
    grpc.StatusCode.DEADLINE_EXCEEDED: CallOutcome.UNANSWERED,
    grpc.StatusCode.INTERNAL: CallOutcome.BUSY,  # the service's own failure, or a broken stream
    grpc.StatusCode.INVALID_ARGUMENT: CallOutcome.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: CallOutcome.BUSY,  # the quota, which refills each second
    grpc.StatusCode.UNAVAILABLE: CallOutcome.UNREACHABLE,
    grpc.StatusCode.UNKNOWN: CallOutcome.BUSY,  # a failure that lost its code on the way
}


class PublishExpired(Exception):
    """Pub/Sub has not confirmed the transaction in time."""


class PublishFailed(Exception):
    """Pub/Sub has not confirmed the message; send it again in `retry_after` seconds."""

    def __init__(self, why: str, retry_after: int = 5) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class SpoolFailed(Exception):
    """The spool cannot be used; the text says why."""


def classify(error: BaseException) -> CallOutcome:
    if isinstance(error, grpc.aio.AioRpcError):
        return _OUTCOMES.get(error.code(), CallOutcome.PERMANENT)
    return CallOutcome.EXPIRED if isinstance(error, PublishExpired) else CallOutcome.PERMANENT
