import pytest

from ops.rejections.replay import (
    ReplayAction,
    decide,
    derived_id,
    message_of,
    publish_parts,
)
from ops.rejections.stored_rejection import StoredRejection
from schema import Reason, Rejection, Settled, is_derived_id, is_signed, lane_of_id, read_message
from tests.support.stored_rejections import rejected_row, stored

APPLIED = None
REJECTED = Rejection(Reason.TABLE_MISSING, "because")


def decided(
    held: StoredRejection, rows: Settled, *, new_id: bool = False
) -> tuple[ReplayAction, str]:
    decision = decide(held, rows, new_id=new_id)
    return decision.action, decision.id


def test_a_rejected_or_unknown_transaction_is_replayed_under_its_id() -> None:
    held = stored()
    assert decided(held, {}) == (ReplayAction.REPLAY, "a1")
    rows = {"a1": {held.sha256: REJECTED}}
    assert decided(held, rows) == (ReplayAction.REPLAY, "a1")
    assert decided(held, rows, new_id=True) == (ReplayAction.REPLAY, "a1")


def test_an_applied_transaction_is_never_replayed() -> None:
    held = stored()
    rows: Settled = {"a1": {held.sha256: APPLIED, "other": REJECTED}}
    for new_id in (False, True):
        assert decided(held, rows, new_id=new_id) == (ReplayAction.ALREADY_APPLIED, "a1")


@pytest.mark.parametrize("other", [APPLIED, REJECTED])
def test_an_id_with_another_body_is_taken(other: Rejection | None) -> None:
    held = stored()
    rows: Settled = {"a1": {held.sha256: REJECTED, "other": other}}
    assert decided(held, rows) == (ReplayAction.REFUSED, "a1")
    fresh = derived_id(held)
    assert decided(held, rows, new_id=True) == (ReplayAction.REPLAY, fresh)
    again: Settled = {**rows, fresh: {held.sha256: REJECTED}}
    assert decided(held, again, new_id=True) == (ReplayAction.REPLAY, fresh)
    done: Settled = {**rows, fresh: {held.sha256: APPLIED}}
    assert decided(held, done, new_id=True) == (ReplayAction.ALREADY_APPLIED, fresh)


def test_a_derived_id_is_always_the_same_and_each_body_has_its_own() -> None:
    assert derived_id(stored()) == derived_id(stored())
    assert derived_id(stored(data=2)) != derived_id(stored()) != derived_id(stored("a2"))


def test_a_derived_id_is_of_the_same_lane_and_may_be_settled_already() -> None:
    held = stored(lane="lane-05")
    assert held.lane == lane_of_id(derived_id(held)) == 5
    assert is_derived_id(derived_id(held))


def test_a_body_that_is_not_stored_is_refused_with_its_size() -> None:
    row = {**rejected_row(), "body": None, "body_bytes": 7_000_000}
    decision = decide(StoredRejection.read(row), {}, new_id=False)
    assert decision.action is ReplayAction.REFUSED
    assert "7,000,000 bytes is not stored (at most 6,500,000)" in decision.detail
    row["raw"] = b"\xff"
    assert decide(StoredRejection.read(row), {}, new_id=False).action is ReplayAction.REPLAY


def test_a_replayed_message_is_as_a_server_publishes_it_and_signed() -> None:
    held = stored(data="\u20ac")
    decision = decide(held, {}, new_id=False)
    message = message_of(decision, b"key")
    again = read_message(message.data, dict(message.attributes), "", "", message.ordering_key)
    assert (again.id, again.source, again.ordering_key) == ("a1", "shop", "orders")
    assert (again.sha256, again.received_at) == (
        stored(data="\u20ac").sha256,
        "2026-01-01T23:58:00+00:00",
    )
    assert message.ordering_key == "lane-05"
    assert again.copy_possible
    assert is_signed(again, b"key")


def test_a_publish_request_has_one_lane_in_order_within_the_limits() -> None:
    held = [stored(f"{n}", n, f"lane-0{n % 2}") for n in range(6)]
    found = publish_parts((decide(each, {}, new_id=False) for each in held), max_messages=2)
    assert [[each.id for each in part] for part in found] == [["0", "2"], ["4"], ["1", "3"], ["5"]]

    held = [stored(f"{n}", "x" * 4_000_000) for n in range(5)]
    found = publish_parts(decide(each, {}, new_id=False) for each in held)
    assert [len(part) for part in found] == [2, 2, 1]
