import hashlib
import time

import pytest

from schema import Reason
from tests.support.deliveries import PUBLISHED_AT, body, delivery, insert, number
from workers.decode import SHOWN_FAULTS, decode

BODY = body(insert("t", a=number(1)))


def test_a_message_from_another_publisher_is_known_by_what_pubsub_says() -> None:
    foreign = delivery(BODY, ordering_key="k")

    entry = decode(foreign)

    assert entry.message.id == foreign.message_id
    assert entry.message.received_at == PUBLISHED_AT.replace("T", " ")
    assert entry.message.source == ""
    assert entry.message.ordering_key == "k"
    assert entry.key == (foreign.message_id, hashlib.sha256(BODY).hexdigest())
    assert entry.transaction
    assert entry.rejection is None


def test_a_claimed_hash_is_not_believed() -> None:
    entry = decode(delivery(BODY, id="x", sha256="0" * 64))

    assert entry.message.sha256 == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("given", ["yesterday", "2026-02-30T00:00:00Z", "12", " "])
def test_a_received_at_that_is_no_time_gives_way_to_the_publish_time(given: str) -> None:
    entry = decode(delivery(BODY, id="x", received_at=given))

    assert entry.message.received_at == PUBLISHED_AT
    assert entry.transaction


@pytest.mark.parametrize(
    "given", ["2026-03-01T12:00:00", "2026-03-01 12:00:00z", "2026-03-01t14:00:00+02:00"]
)
def test_a_received_at_is_brought_to_utc(given: str) -> None:
    entry = decode(delivery(BODY, id="x", received_at=given))

    assert entry.message.received_at == "2026-03-01 12:00:00+00:00"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"activities": []}', b"[" * 100_000])
def test_a_body_that_breaks_the_rule_is_rejected_and_not_raised(data: bytes) -> None:
    entry = decode(delivery(data, id="x"))

    assert entry.transaction is None
    assert entry.rejection
    assert entry.rejection.reason is Reason.INVALID_SCHEMA
    assert entry.rejection.error


def test_of_very_many_faults_the_first_are_named_and_the_rest_cost_nothing() -> None:
    began = time.process_time()
    entry = decode(delivery(body(*[{}] * 200_000), id="x"))

    assert entry.rejection
    assert entry.rejection.error.startswith("/activities/0/")
    assert entry.rejection.error.count("; ") < SHOWN_FAULTS
    assert time.process_time() - began < 2
