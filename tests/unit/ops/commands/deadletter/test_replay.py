import pytest

from ops.commands.deadletter.replay import ReplayAction, decide, derived_id, publish_parts
from ops.runtime.letter import DeadLetter
from schema import Reason, Rejection, is_derived_id, lane_of_id
from tests.support.dead_letters import letter
from workers.dedupe import Settled

APPLIED = None
REJECTED = Rejection(Reason.TABLE_MISSING, "because")


def decided(held: DeadLetter, rows: Settled, *, new_id: bool = False) -> tuple[ReplayAction, str]:
    decision = decide(held, rows, new_id=new_id)
    return decision.action, decision.id


def test_a_rejected_or_unknown_transaction_is_replayed_under_its_id() -> None:
    held = letter()
    assert decided(held, {}) == (ReplayAction.REPLAY, "a1")
    rows = {"a1": {held.sha256: REJECTED}}
    assert decided(held, rows) == (ReplayAction.REPLAY, "a1")
    assert decided(held, rows, new_id=True) == (ReplayAction.REPLAY, "a1")


def test_an_applied_transaction_is_never_replayed() -> None:
    held = letter()
    rows: Settled = {"a1": {held.sha256: APPLIED, "other": REJECTED}}
    for new_id in (False, True):
        assert decided(held, rows, new_id=new_id) == (ReplayAction.ALREADY_APPLIED, "a1")


@pytest.mark.parametrize("other", [APPLIED, REJECTED])
def test_an_id_with_another_body_is_taken(other: Rejection | None) -> None:
    held = letter()
    rows: Settled = {"a1": {held.sha256: REJECTED, "other": other}}
    assert decided(held, rows) == (ReplayAction.REFUSED, "a1")
    fresh = derived_id(held)
    assert decided(held, rows, new_id=True) == (ReplayAction.REPLAY, fresh)
    again: Settled = {**rows, fresh: {held.sha256: REJECTED}}
    assert decided(held, again, new_id=True) == (ReplayAction.REPLAY, fresh)
    done: Settled = {**rows, fresh: {held.sha256: APPLIED}}
    assert decided(held, done, new_id=True) == (ReplayAction.ALREADY_APPLIED, fresh)


def test_a_derived_id_is_always_the_same_and_each_body_has_its_own() -> None:
    assert derived_id(letter()) == derived_id(letter())
    assert derived_id(letter(data=2)) != derived_id(letter()) != derived_id(letter("a2"))


def test_a_derived_id_is_of_the_letters_lane_and_may_be_settled_already() -> None:
    held = letter(key="lane-05")
    assert held.lane == lane_of_id(derived_id(held)) == 5
    assert is_derived_id(derived_id(held))


def test_a_publish_request_has_one_ordering_key_in_order_within_the_limits() -> None:
    held = [letter(f"{n}", n, key="even" if n % 2 == 0 else "odd") for n in range(6)]
    found = publish_parts((decide(each, {}, new_id=False) for each in held), max_messages=2)
    assert [[each.id for each in part] for part in found] == [["0", "2"], ["4"], ["1", "3"], ["5"]]

    held = [letter(f"{n}", "x" * 4_000_000) for n in range(5)]
    found = publish_parts(decide(each, {}, new_id=False) for each in held)
    assert [len(part) for part in found] == [2, 2, 1]
