"""What a subscription's configuration means for delivery."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """Whether ordering keys count, and the limits of the backoff in seconds."""

    ordered: bool = False
    min_backoff: float = 0.0
    max_backoff: float = 0.0

    @classmethod
    def of(cls, config: Any) -> "DeliveryPolicy":
        """Return the policy of a complete Subscription."""
        if not config.HasField("retry_policy"):
            return cls(config.enable_message_ordering)
        retry = config.retry_policy
        low, high = seconds_of(retry.minimum_backoff), seconds_of(retry.maximum_backoff)
        return cls(config.enable_message_ordering, low, high)

    def backoff(self, failures: int) -> float:
        """Return the wait before the redelivery that follows this many failures."""
        doublings = min(max(failures, 1) - 1, 32)
        return min(self.max_backoff, self.min_backoff * 2.0**doublings)


def seconds_of(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9
