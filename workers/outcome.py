"""What can come of a transaction: the reasons of a rejection, and the record of its settling."""

from typing import NamedTuple

from schema import Reason

__all__ = ["Reason", "Rejection"]


class Rejection(NamedTuple):
    """A reason, and the sentence that a person reads."""

    reason: Reason
    error: str
