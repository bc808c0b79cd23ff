import base64
import json

import pytest

from schema import MAX_RAW_BYTES, Reason, Rejection
from tests.support.deliveries import body, decoded, delete, delivery, insert, number
from workers import sql
from workers.decode import decode
from workers.plan import MAX_TABLES
from workers.rejected_row import MAX_TEXT_BYTES, rejected_row

REJECTED = Rejection(Reason.TABLE_MISSING, "no table")
LONGEST = Rejection(Reason.INVALID_SCHEMA, "\U0001f600" * 1_000)


def row_of(data: bytes, rejection: Rejection = REJECTED) -> dict[str, str | None]:
    row = rejected_row(decode(delivery(data, id="an id")), rejection, "lane-07", "w")
    return dict(zip((each.name for each in sql.REJECTED_ROW_COLUMNS), row, strict=True))


def test_a_row_has_what_a_replay_needs_and_what_a_person_asks_for() -> None:
    message = decoded(delete("u", a=number(1)), insert("t", a=number(1)), id="an id")
    row = rejected_row(message, REJECTED, "lane-07", "w")
    data = message.message.data
    assert row == [
        *("an id", message.message.sha256, "table_missing", "no table", "a test", "u,t"),
        *(message.message.ordering_key, "lane-07", message.message.received_at, "w"),
        *(str(len(data)), data.decode(), None),
    ]


@pytest.mark.parametrize("data", [b"", b"no JSON", "\u20ac \U0001f600\x1b".encode()])
def test_any_text_is_kept_as_text(data: bytes) -> None:
    row = row_of(data)
    assert (row["body"], row["raw"]) == (data.decode(), None)


@pytest.mark.parametrize("data", [b"\xff{}", b"a\0b", b"x" * (MAX_TEXT_BYTES + 1)])
def test_anything_else_is_kept_as_bytes(data: bytes) -> None:
    row = row_of(data)
    assert row["body"] is None
    assert base64.b64decode(row["raw"] or "") == data
    assert row["body_bytes"] == str(len(data))


def test_more_than_a_request_holds_has_its_size_only() -> None:
    row = row_of(b"x" * (MAX_RAW_BYTES + 1))
    assert (row["body"], row["raw"], row["body_bytes"]) == (None, None, str(MAX_RAW_BYTES + 1))


def test_an_invalid_transaction_has_the_names_that_a_table_may_have() -> None:
    named = ["orders", "a,b", "", "gatekeeper_x", "orders", 7, "\ud800"]
    data = json.dumps({"activities": [{"table": each} for each in named]}).encode()
    assert row_of(data)["tables"] == ("" if b"ud800" in data else "orders,gatekeeper_x")
    readable = json.dumps({"activities": [{"table": each} for each in named[:-1]]}).encode()
    assert row_of(readable)["tables"] == "orders,gatekeeper_x"
    many = body(*(insert(f"t{i}", a=number(1)) for i in range(1_000)), {"operation": "x"})
    assert len(str(row_of(many)["tables"]).split(",")) == MAX_TABLES


@pytest.mark.parametrize(
    "data",
    [b"\x01" * MAX_TEXT_BYTES, b'"' * MAX_TEXT_BYTES, b"\xff" * MAX_RAW_BYTES],
    ids=["seven bytes for one, as sent", "quotes", "base64"],
)
def test_any_rejected_transaction_fits_a_request_alone(data: bytes) -> None:
    message = decode(delivery(data, id="x" * 1_024, source="\U0001f600" * 256))
    ledger = [message.message.id, "rejected", "invalid_schema", LONGEST.error]
    settlement = sql.LaneSettlement(
        *(7, 1, "2026-01-01 00:00:00+00:00", [message.message.id], [ledger]),
        rejected=[rejected_row(message, LONGEST, "lane-07", "w" * 100)],
    )
    script = sql.script("p.d", [], settlement)
    assert script.excess <= 1
    assert script.request_bytes > len(data)
