"""Which dead letters a command is about. Pure."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ops.runtime.letter import DeadLetter


class Selection(NamedTuple):
    """Pulls at most `limit`, until none has arrived for `quiet_seconds`; then filters.

    Without ids and a reason, all are chosen.
    """

    limit: int
    quiet_seconds: float
    ids: Collection[str] = ()
    reason: str | None = None

    def choose(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        return [
            letter
            for letter in letters
            if (not self.ids or letter.id in self.ids)
            and (not self.reason or letter.reason == self.reason)
        ]
