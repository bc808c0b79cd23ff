"""Sends rejections to the teams concerned: signed webhooks, gathered per minute.

A process that does nothing else (`python -m ops.notify`) reads its own subscription on the
dead-letter topic, and keeps what it gathers in a file until a receiver has accepted it or a day is
over. So it never delays a worker. It must not change a transaction, the ledger or a dead letter.
"""

from ops.notify.notification import sample
from ops.notify.outbox import Outbox, ReceiverState, outbox_file
from ops.notify.receivers import (
    InvalidReceivers,
    Receiver,
    Receivers,
    read_receivers,
)
from ops.notify.webhook import Reply, Webhooks, open_webhooks
from ops.notify.webhook_secret import read_notify_keys, secret_of

__all__ = [
    "InvalidReceivers",
    "Outbox",
    "Receiver",
    "ReceiverState",
    "Receivers",
    "Reply",
    "Webhooks",
    "open_webhooks",
    "outbox_file",
    "read_notify_keys",
    "read_receivers",
    "sample",
    "secret_of",
]
