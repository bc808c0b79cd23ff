from schema import LEDGER_COLUMNS, Reason, Rejection, Settled, settled_rows
from tests.support.deliveries import PUBLISHED_AT, body, decoded, delivery, insert, number
from workers.decode import decode
from workers.dedupe import ANOTHER_BODY, deduplicate, ledger_row

REJECTED = Rejection(Reason.TABLE_MISSING, "no table")


def test_a_message_that_the_ledger_holds_has_its_outcome() -> None:
    applied, rejected, fresh = (decoded(insert("t", a=number(i)), id=f"{i}") for i in range(3))
    ledger: Settled = {
        "0": {applied.message.sha256: None},
        "1": {rejected.message.sha256: REJECTED},
    }
    found = deduplicate([applied, rejected, fresh], ledger)
    assert found.settled == [(applied, None), (rejected, REJECTED)]
    assert found.fresh == [fresh]


def test_a_message_that_comes_twice_in_a_batch_is_fresh_once() -> None:
    first, again = (decoded(insert("t", a=number(1)), id="x") for _ in range(2))
    found = deduplicate([first, again], {})
    assert (found.fresh, found.repeats) == ([first], [again])


def test_another_body_under_an_id_of_the_ledger_is_a_conflict() -> None:
    other = decoded(insert("t", a=number(2)), id="x")
    (found,) = deduplicate([other], {"x": {"another hash": None}}).fresh
    assert found.rejection == ANOTHER_BODY


def test_another_body_under_an_id_of_the_batch_is_a_conflict_and_its_copy_a_repeat() -> None:
    first, other, again = (decoded(insert("t", a=number(n)), id="x") for n in (1, 2, 2))
    found = deduplicate([first, other, again], {})
    assert [each.rejection for each in found.fresh] == [None, ANOTHER_BODY]
    assert found.repeats == [again]


def test_a_conflict_that_the_ledger_holds_is_settled() -> None:
    other = decoded(insert("t", a=number(2)), id="x")
    ledger = {"x": {"another hash": None, other.message.sha256: ANOTHER_BODY}}
    assert deduplicate([other], ledger).settled == [(other, ANOTHER_BODY)]


def test_a_ledger_row_is_in_the_order_of_the_ledgers_columns() -> None:
    data = body(insert("t", a=number(1)), insert("t", a=number(2)))
    message = decode(delivery(data, id="an id", ordering_key="lane-07"))
    row = ledger_row(message, None, "lane-07", "worker_00")
    names = [column.name for column in LEDGER_COLUMNS if column.name != "settled_at"]
    assert dict(zip(names, row, strict=True)) == {
        "id": "an id",
        "state": "applied",
        "reason": None,
        "error": None,
        "source": "a test",
        "ordering_key": "lane-07",
        "lane": "lane-07",
        "sha256": message.message.sha256,
        "activities": "2",
        "received_at": PUBLISHED_AT.replace("T", " "),
        "worker": "worker_00",
    }


def test_a_rejection_is_kept_with_its_reason_and_a_bounded_error() -> None:
    rejection = Rejection(Reason.TYPE_CONFLICT, "x" * 5_000)
    row = ledger_row(decoded(insert("t", a=number(1))), rejection, "lane-01", "w")
    assert row[1:3] == ["rejected", "type_conflict"]
    assert len(row[3] or "") == 1_000


def test_rows_are_read_back_as_outcomes_by_id_and_hash() -> None:
    rows: list[dict[str, str | None]] = [
        {"id": "a", "sha256": "1", "reason": None, "error": None},
        {"id": "a", "sha256": "2", "reason": "idempotency_conflict", "error": "taken"},
    ]
    assert settled_rows(rows) == {
        "a": {"1": None, "2": Rejection(Reason.IDEMPOTENCY_CONFLICT, "taken")}
    }
