"""A rejected transaction as a row that keeps its body, whatever that is. Pure."""

import base64
from itertools import islice
from typing import Final

from ops.runtime.letter import tables
from schema import MAX_RAW_BYTES, TABLE_NAME, Rejection
from workers.decode import DecodedMessage
from workers.dedupe import MAX_ERROR_CHARACTERS
from workers.plan import MAX_TABLES

MAX_TEXT_BYTES: Final = 1_000_000
"""Of a text, JSON in JSON has at most 7 bytes for each: a row alone fits MAX_REQUEST_BYTES."""


def rejected_row(
    decoded: DecodedMessage, rejection: Rejection, lane: str, worker: str
) -> list[str | None]:
    """Return the row as texts, in the order of `workers.sql.REJECTED_ROW_COLUMNS`."""
    message = decoded.message
    text, raw = _body(message.data)
    return [
        message.id,
        message.sha256,
        rejection.reason.value,
        rejection.error[:MAX_ERROR_CHARACTERS],
        message.source,
        ",".join(_tables(decoded)),
        message.ordering_key,
        lane,
        message.received_at,
        worker,
        str(len(message.data)),
        text,
        raw,
    ]


def _tables(decoded: DecodedMessage) -> list[str]:
    """Return the tables; those of an invalid transaction as far as they are names of tables."""
    transaction = decoded.transaction
    named = transaction.tables if transaction else tables(decoded.message.data)
    return list(islice(filter(TABLE_NAME.fullmatch, named), MAX_TABLES))


def _body(data: bytes) -> tuple[str | None, str | None]:
    """Return the body as text, or else in base64, or else neither."""
    if len(data) <= MAX_TEXT_BYTES and b"\0" not in data:
        try:
            return data.decode(), None
        except UnicodeDecodeError:
            pass
    if len(data) <= MAX_RAW_BYTES:
        return None, base64.b64encode(data).decode()
    return None, None
