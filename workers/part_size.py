"""How many of a batch's messages one commit takes: all of them, unless that has failed."""

MAX_BATCH = 10_000
"""BATCH_MAX_MESSAGES at its largest."""


class PartSize:
    """Shrinks after a failure that a smaller part may avoid; grows again as parts are committed.

    Messages that are known to hold an offender are halved until it is alone.
    """

    def __init__(self) -> None:
        self._size = MAX_BATCH
        self._suspects = 0
        """How many of the next messages are known to hold an offender; 0: none is known."""

    def next(self) -> int:
        """Return how many messages the next part may have."""
        return max(self._suspects // 2, 1) if self._suspects else self._size

    def committed(self, count: int) -> None:
        self._suspects = max(self._suspects - count, 0)
        self._size = min(self._size * 2, MAX_BATCH)

    def shrink(self, failed: int, size: int) -> None:
        """Take `size` messages next, and fewer than the `failed` ones in any case."""
        self._suspects = 0
        self._size = max(min(size, failed - 1), 1)

    def halve(self, failed: int) -> None:
        """Look for the offender that the `failed` messages hold."""
        self._suspects = failed

    def reset(self) -> None:
        """Take all: the offender was found."""
        self._size, self._suspects = MAX_BATCH, 0
