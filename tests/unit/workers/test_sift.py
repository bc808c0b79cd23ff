from tests.support.deliveries import entry, insert, number
from workers.ledger import Settled
from workers.outcome import Reason, Rejection
from workers.sift import sift


def test_what_the_ledger_holds_is_known_with_its_outcome() -> None:
    applied, rejected, new = (entry(insert("t", a=number(i)), id=f"id-{i}") for i in range(3))
    why = Rejection(Reason.TABLE_MISSING, "no table")
    held = {
        "id-0": {applied.message.sha256: Settled(None)},
        "id-1": {rejected.message.sha256: Settled(why)},
    }

    sifted = sift([applied, rejected, new], held)

    assert sifted.known == [(applied, Settled(None)), (rejected, Settled(why))]
    assert sifted.fresh == [new]


def test_a_delivery_that_comes_twice_in_a_batch_is_fresh_once() -> None:
    first, second = (entry(insert("t", a=number(1)), id="same") for _ in range(2))

    sifted = sift([first, second], {})

    assert sifted.fresh == [first]
    assert sifted.repeats == [second]


def test_another_body_under_an_id_of_the_ledger_is_a_conflict() -> None:
    other = entry(insert("t", a=number(2)), id="same")

    sifted = sift([other], {"same": {"another hash": Settled(None)}})

    (stamped,) = sifted.fresh
    assert stamped.key == other.key
    assert stamped.rejection
    assert stamped.rejection.reason is Reason.IDEMPOTENCY_CONFLICT


def test_another_body_under_an_id_of_the_batch_is_a_conflict_and_its_repeat_a_repeat() -> None:
    first = entry(insert("t", a=number(1)), id="same")
    other, again = (entry(insert("t", a=number(2)), id="same") for _ in range(2))

    sifted = sift([first, other, again], {})

    assert sifted.fresh[0] is first
    assert sifted.fresh[1].rejection
    assert sifted.fresh[1].rejection.reason is Reason.IDEMPOTENCY_CONFLICT
    assert sifted.repeats == [again]


def test_a_conflict_that_the_ledger_holds_is_known_as_one() -> None:
    first = entry(insert("t", a=number(1)), id="same")
    other = entry(insert("t", a=number(2)), id="same")
    why = Rejection(Reason.IDEMPOTENCY_CONFLICT, "another body")
    held = {"same": {first.message.sha256: Settled(None), other.message.sha256: Settled(why)}}

    sifted = sift([other], held)

    assert sifted.known == [(other, Settled(why))]
    assert not sifted.fresh
