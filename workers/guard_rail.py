"""Stops a worker that rejects too much: then the fault is rather here than in the transactions.

With the wrong dataset, a lost permission or a foreign subscription, nearly every transaction can be
rejected for good, each for a fair reason, and a fleet empties its topic into the dead-letter topic
within minutes. So the share of rejections among the last transactions is bounded, and the batch
that would pass the bound is not settled.
"""

from collections import deque

WINDOW = 1_000
"""Transactions that the share is taken of: the last ones of this worker."""
LEAST = 100
"""Rejections below which nothing is wrong: a quiet hour with one faulty client is none."""


class TooManyRejected(Exception):
    """The worker must stop until somebody has looked; the text says what it saw."""


class GuardRail:
    """Counts outcomes as they are committed; `share` from 0 to 1, at which nothing is too much."""

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._rejected = 0

    def admit(self, applied: int, rejected: int) -> None:
        """Return when so many more may be settled; raises TooManyRejected."""
        total = len(self._outcomes) + applied + rejected
        bad = self._rejected + rejected
        if rejected and bad >= LEAST and bad > self._share * total:
            raise TooManyRejected(
                f"{bad:,} of the last {total:,} transactions would be rejected, more than "
                f"DEAD_LETTER_MAX_SHARE={self._share:g} allows"
            )

    def count(self, applied: int, rejected: int) -> None:
        """Take committed outcomes into account."""
        for is_rejected in (*[False] * applied, *[True] * rejected):
            if len(self._outcomes) == WINDOW:
                self._rejected -= self._outcomes[0]
            self._outcomes.append(is_rejected)
            self._rejected += is_rejected
