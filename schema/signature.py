"""Signs messages, so that a worker can tell the gate's from those of other publishers. Pure."""

import hashlib
import hmac

from schema.message import Message


def sign(message: Message, key: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of what a worker believes of a message.

    Not of `copy`: it only makes workers look further back, and a retry sets it.
    """
    parts = (
        message.id,
        message.source,
        message.received_at,
        message.sha256,
        message.ordering_key,
    )
    # The lengths make ("a", "bc") and ("ab", "c") differ.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def is_signed(message: Message, key: bytes) -> bool:
    """Whether the publisher of a message has the key; in constant time."""
    expected, given = sign(message, key).encode(), message.signature.encode("utf-8", "replace")
    return hmac.compare_digest(expected, given)
