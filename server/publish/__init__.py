"""Publishes transactions to Pub/Sub: in order for each ordering key, batched, retried, bounded.

Its outcomes are confirmed, spooled or PublishFailed. It must not know of HTTP, nor of how the
spool stores messages: `MessageSpool` is all that it asks of one.
"""

from server.publish.publisher import Destination, MessageSpool, Publisher, PublishLimits
from server.publish.rpc_errors import CallOutcome, PublishFailed, SpoolFailed, classify
from server.publish.topic import Topic, decode, encode, mark_as_copy

__all__ = [
    "CallOutcome",
    "Destination",
    "MessageSpool",
    "PublishFailed",
    "PublishLimits",
    "Publisher",
    "SpoolFailed",
    "Topic",
    "classify",
    "decode",
    "encode",
    "mark_as_copy",
]
