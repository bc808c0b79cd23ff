from tests.support.deliveries import PUBLISHED_AT, body, delivery, insert, number
from workers.entry import decode
from workers.ledger import LEDGER_SCHEMA, MAX_ERROR_CHARACTERS, Settled, row, settled
from workers.outcome import Reason, Rejection

ENTRY = decode(delivery(body(insert("t", a=number(1))), id="x", ordering_key="k"))


def test_an_applied_transaction_is_a_row_in_the_order_of_the_schema() -> None:
    names = [field.name for field in LEDGER_SCHEMA if field.name != "settled_at"]

    assert dict(zip(names, row(ENTRY, None, "worker_00"), strict=True)) == {
        "id": "x",
        "state": "applied",
        "reason": None,
        "error": None,
        "source": "a test",
        "ordering_key": "k",
        "sha256": ENTRY.message.sha256,
        "activities": "1",
        "received_at": PUBLISHED_AT.replace("T", " "),
        "worker": "worker_00",
    }


def test_a_rejection_is_kept_with_its_reason_and_a_bounded_error() -> None:
    invalid = decode(delivery(b"{", id="x"))

    written = row(invalid, Rejection(Reason.INVALID_SCHEMA, "e" * 5_000), "w")

    assert written[1:4] == ["rejected", "invalid_schema", "e" * MAX_ERROR_CHARACTERS]
    assert written[7] is None


def test_rows_are_read_back_as_outcomes_by_id_and_hash() -> None:
    rows = [
        {"id": "a", "sha256": "1", "reason": None, "error": None},
        {"id": "a", "sha256": "2", "reason": "idempotency_conflict", "error": "why"},
        {"id": "b", "sha256": "1", "reason": "too_large", "error": None},
    ]

    assert settled(rows) == {
        "a": {
            "1": Settled(None),
            "2": Settled(Rejection(Reason.IDEMPOTENCY_CONFLICT, "why")),
        },
        "b": {"1": Settled(Rejection(Reason.TOO_LARGE, ""))},
    }
