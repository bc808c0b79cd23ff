import hashlib
import time
from dataclasses import replace

import pytest

from schema import Message, Reason, compose_message, derive_id, sign
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


def _derived(source: str = "billing") -> Message:
    id_ = derive_id(source, "k", "1")
    return compose_message(BODY, id=id_, source=source, received_at=PUBLISHED_AT, ordering_key="k")


def test_with_a_message_key_only_signed_messages_may_have_an_idempotency_keys_id() -> None:
    key = b"k" * 32
    message = _derived()
    signed = message._replace(signature=sign(message, key)).attributes
    forged = _derived("orders")._replace(signature=signed["mac"]).attributes

    for attributes, accepted in (
        (signed, True),
        ({**signed, "copy": "possible"}, True),
        ({**signed, "ordering_key": "other"}, False),
        (message.attributes, False),
        (forged, False),
        ({"id": "chosen-by-another-publisher"}, True),
        ({}, True),
    ):
        pulled = replace(delivery(BODY, ordering_key="k"), attributes=attributes)
        entry = decode(pulled, message_key=key)
        assert (entry.rejection is None) == accepted
        if not accepted:
            assert entry.message.id == pulled.message_id
        assert decode(pulled).rejection is None


@pytest.mark.parametrize("character", ["\0", "\n", "\x7f", "\x85", "\x9f"])
@pytest.mark.parametrize("name", ["id", "source", "ordering_key", "received_at"])
def test_an_attribute_with_a_control_character_ends_the_message(name: str, character: str) -> None:
    pulled = replace(delivery(BODY), attributes={name: f"a{character}b"})

    entry = decode(pulled)

    assert entry.rejection is not None
    assert entry.rejection.reason is Reason.INVALID_SCHEMA
    assert entry.message.id == pulled.message_id
