import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.pubsub_v1 import PubsubMessage, ReceivedMessage

from ops.commands.deadletter import tables as page
from ops.commands.deadletter.letter import Letter, gather, tables
from ops.commands.deadletter.replay import Action, decide, derived_id, parts
from ops.commands.duration import duration
from workers.ledger import Settled
from workers.outcome import Reason, Rejection

NOW = datetime(2026, 1, 2, tzinfo=UTC)
APPLIED = Settled(None)
REJECTED = Settled(Rejection(Reason.TABLE_MISSING, "because"))


def received(id_: str, data: object, minutes: int = 0, key: str = "t") -> ReceivedMessage:
    message = PubsubMessage(
        data=json.dumps(data).encode(),
        attributes={"id": id_, "reason": "table_missing", "error": "because", "source": "shop"},
        ordering_key=key,
        publish_time=NOW - timedelta(minutes=minutes),
    )
    return ReceivedMessage(ack_id=f"{id_}-{minutes}", message=message)


def letter(id_: str = "a1", data: object = 1, key: str = "t") -> Letter:
    return Letter.read(received(id_, data, key=key))


def decided(held: Letter, rows: Any, *, new_id: bool = False) -> tuple[Action, str]:
    decision = decide(held, rows, new_id=new_id)
    return decision.action, decision.id


def test_copies_of_a_letter_are_one_and_bodies_under_one_id_are_two() -> None:
    found = gather(
        [received("a", 1, 5), received("b", 1, 9), received("a", 1, 7), received("a", 2)]
    )
    assert [(each.id, each.data) for each in found] == [("b", b"1"), ("a", b"1"), ("a", b"2")]
    assert found[1].ack_ids == ["a-7", "a-5"]
    assert found[1].age_seconds(NOW) == 7 * 60


def test_a_letters_own_attributes_are_the_transactions() -> None:
    assert letter().original_attributes == {"id": "a1", "source": "shop"}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b'{"activities": [{"table": "b"}, {"table": "a"}, {"table": "b"}]}', ("b", "a")),
        (b'{"activities": [{"table": 1}, 2]}', ()),
        (b'{"activities": 3}', ()),
        (b"[" * 100_000, ()),
        (b"\xff", ()),
    ],
)
def test_tables_are_read_as_far_as_a_body_can_be(data: bytes, named: tuple[str, ...]) -> None:
    assert tables(data) == named


def test_a_rejected_or_unknown_transaction_is_replayed_under_its_id() -> None:
    held = letter()
    assert decided(held, {}) == (Action.REPLAY, "a1")
    rows = {"a1": {held.sha256: REJECTED}}
    assert decided(held, rows) == (Action.REPLAY, "a1")
    assert decided(held, rows, new_id=True) == (Action.REPLAY, "a1")


def test_an_applied_transaction_is_never_replayed() -> None:
    held = letter()
    rows = {"a1": {held.sha256: APPLIED, "other": REJECTED}}
    for new_id in (False, True):
        assert decided(held, rows, new_id=new_id) == (Action.ALREADY_APPLIED, "a1")


@pytest.mark.parametrize("other", [APPLIED, REJECTED])
def test_an_id_with_another_body_is_taken(other: Settled) -> None:
    held = letter()
    rows = {"a1": {held.sha256: REJECTED, "other": other}}
    assert decided(held, rows) == (Action.REFUSED, "a1")
    fresh = derived_id(held)
    assert decided(held, rows, new_id=True) == (Action.REPLAY, fresh)
    again = {**rows, fresh: {held.sha256: REJECTED}}
    assert decided(held, again, new_id=True) == (Action.REPLAY, fresh)
    done = {**rows, fresh: {held.sha256: APPLIED}}
    assert decided(held, done, new_id=True) == (Action.ALREADY_APPLIED, fresh)


def test_a_derived_id_is_always_the_same_and_each_body_has_its_own() -> None:
    assert derived_id(letter()) == derived_id(letter())
    assert derived_id(letter(data=2)) != derived_id(letter()) != derived_id(letter("a2"))


def test_a_publish_request_has_one_ordering_key_in_order_within_the_limits() -> None:
    held = [letter(f"{n}", n, key="even" if n % 2 == 0 else "odd") for n in range(6)]
    found = parts((decide(each, {}, new_id=False) for each in held), max_messages=2)
    assert [[each.id for each in part] for part in found] == [["0", "2"], ["4"], ["1", "3"], ["5"]]

    held = [letter(f"{n}", "x" * 4_000_000) for n in range(5)]
    found = parts(decide(each, {}, new_id=False) for each in held)
    assert [len(part) for part in found] == [2, 2, 1]


def test_counts_are_by_reason_and_table_the_most_first() -> None:
    one, two = ({"activities": [{"table": name} for name in names]} for names in ("a", "ab"))
    held = [letter("1", one), letter("2", two), letter("3", [])]
    assert page.counts(held) == [
        ("table_missing", "a", 2),
        ("table_missing", "(none)", 1),
        ("table_missing", "b", 1),
    ]


def test_what_a_payload_holds_cannot_steer_a_terminal() -> None:
    assert page.printable("a\x1b[2Jb\x9bc\nä") == "a\\x1b[2Jb\\x9bc\nä"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3s"), (75, "1m 15s"), (3_720, "1h 2m"), (200_000, "2d 7h")]
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
