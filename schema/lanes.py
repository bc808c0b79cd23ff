"""Lanes, and the ids that name them.

A lane is to Gatekeeper what a partition is to Kafka: the unit of order, of a job, of the ledger and
of fencing. Pub/Sub's ordering key is the lane's name, and an id begins with its lane, so that a
look-up reads one table of the ledger.
"""

import hashlib
import re
import secrets
import zlib
from typing import Final

LANES: Final = 32
"""Lanes of a fleet unless LANES says otherwise."""
MAX_LANES: Final = 256
"""Two hexadecimal digits of an id."""

_NAME = re.compile(r"lane-([0-9]{2,3})")
_ID = re.compile(r"[0-9a-f]{32}")
_DERIVED = 8
"""An id is derived from an Idempotency-Key when its third digit is at least this."""


def lane_of(ordering_key: str, lanes: int = LANES) -> int:
    """Return the lane of a client's ordering key: CRC-32 of its UTF-8, modulo the lanes."""
    return zlib.crc32(ordering_key.encode("utf-8", "surrogateescape")) % lanes


def lane_name(lane: int) -> str:
    """Return the lane's name, which is Pub/Sub's ordering key: `lane-07`."""
    return f"lane-{lane:02}"


def lane_of_ordering_key(ordering_key: str, lanes: int = LANES) -> int:
    """Return the lane of a message by Pub/Sub's ordering key, whichever publisher set it."""
    found = _NAME.fullmatch(ordering_key)
    if found and int(found[1]) < lanes:
        return int(found[1])
    return lane_of(ordering_key, lanes)


def lane_of_id(id_: str, lanes: int = LANES) -> int | None:
    """Return the lane that an id begins with; None for an id of another publisher."""
    if _ID.fullmatch(id_) and (lane := int(id_[:2], 16)) < lanes:
        return lane
    return None


def new_id(ordering_key: str, lanes: int = LANES) -> str:
    """Return a random id for a transaction without an Idempotency-Key: 32 hex digits."""
    digits = secrets.token_hex(15)
    third = int(digits[0], 16) % _DERIVED
    return f"{lane_of(ordering_key, lanes):02x}{third:x}{digits[1:]}"


def derive_id(source: str, ordering_key: str, idempotency_key: str, lanes: int = LANES) -> str:
    """Return the id of a source's Idempotency-Key: 32 hex digits, the same on every machine."""
    # The lengths make ("a", "bc") and ("ab", "c") differ. Headers may have undecodable bytes.
    text = f"{len(source)}:{source}{len(ordering_key)}:{ordering_key}{idempotency_key}"
    digits = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:30]
    third = _DERIVED | int(digits[0], 16)
    return f"{lane_of(ordering_key, lanes):02x}{third:x}{digits[1:]}"


def is_derived_id(id_: str) -> bool:
    """Whether an id comes from an Idempotency-Key, so that a later request may have it too."""
    return _ID.fullmatch(id_) is not None and int(id_[2], 16) >= _DERIVED
