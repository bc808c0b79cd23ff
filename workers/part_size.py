"""How many of a batch's messages one commit takes: all of them, unless that has failed."""

MAX_BATCH = 10_000
"""BATCH_MAX_MESSAGES at its largest."""


class PartSize:
    """Shrinks after a failure that a smaller part may avoid; grows again as parts are committed.

    Parts end in the middle of the messages that may be an offender, until it is alone.
    """

    def __init__(self) -> None:
        self._size = MAX_BATCH
        self._suspects: list[int] = []
        """The places, among the next messages, of those that may be an offender."""

    def next(self) -> int:
        """Return how many messages the next part may have."""
        suspects = self._suspects
        return max(suspects[len(suspects) // 2], 1) if suspects else self._size

    def committed(self, count: int) -> None:
        self._suspects = [place - count for place in self._suspects if place >= count]
        self._size = min(self._size * 2, MAX_BATCH)

    def shrink(self, failed: int, size: int) -> None:
        """Take `size` messages next, and fewer than the `failed` ones in any case."""
        self._suspects = []
        self._size = max(min(size, failed - 1), 1)

    def search(self, suspects: list[int]) -> None:
        """Look for the offender, which is at one of these places, in ascending order."""
        self._suspects = suspects

    def reset(self) -> None:
        """Take all: the offender was found."""
        self._size, self._suspects = MAX_BATCH, []
