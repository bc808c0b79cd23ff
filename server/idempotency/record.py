"""What a key stands for, and what a store of keys does."""

from enum import Enum
from typing import Final, NamedTuple, Protocol

PARALLEL_ATTEMPTS: Final = 2
"""A repeat publishes next to the first request, which may have died; further ones wait."""

ATTEMPT_SECONDS: Final = 20.0
"""Longer than a publish may take, spool included: after it, an attempt is over."""


class RegistryFailed(Exception):
    """The registry cannot be used; the text says why."""


class KeyConflict(Exception):
    """The key stands for another body."""


class KeyRecord(NamedTuple):
    """What a key stands for: the request that came with it first."""

    sha256: str
    ordering_key: str
    id: str


class Claimed(Enum):
    """What to do with a request."""

    FIRST = "first"  # publish it
    AGAIN = "again"  # publish it again: whether an earlier attempt succeeded is unknown
    PUBLISHED = "published"  # nothing: it is durable
    WAIT = "wait"  # ask again in a moment: others are publishing it


class Claim(NamedTuple):
    """The answer of a store. With another `record.sha256` than asked for, it is a conflict."""

    record: KeyRecord
    claimed: Claimed


class KeyStore(Protocol):
    """Keys by their digest. Every call raises RegistryFailed."""

    async def claim(self, key: bytes, wanted: KeyRecord) -> Claim:
        """Store the record unless the key has one, and begin an attempt if one is due; atomic."""

    def settle(self, key: bytes, *, published: bool) -> None:
        """Note that an attempt has ended; does not wait. Before a later `claim` of this process."""

    async def close(self) -> None:
        """Return when what was settled is stored."""
