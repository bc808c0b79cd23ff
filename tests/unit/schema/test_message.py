import hashlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import check_body, derive_id, lane_name, lane_of, new_id
from schema.message import (
    InvalidMessage,
    Message,
    compose_message,
    faults_of_attributes,
    publish_calls,
    read_message,
)

BODY = (
    b'{"activities":[{"operation":"insert","table":"t2","col_names":["a"],"col_types":["INT"],'
    b'"col_values":[1]},{"operation":"insert","table":"t1","col_names":["a"],"col_types":["INT"],'
    b'"col_values":[1]}]}'
)
AT = "2018-03-27T11:58:28.988414Z"
DIGEST = hashlib.sha256(BODY).hexdigest()


def composed(body: bytes = BODY, **changes: Any) -> Message:
    fields = {"id": "i1", "source": "team", "received_at": AT, "ordering_key": "mine"}
    return compose_message(body, **{**fields, **changes})


def test_a_message_carries_the_body_byte_for_byte_and_its_attributes() -> None:
    message = composed()
    assert message == Message(BODY, "i1", "team", AT, DIGEST, "mine", lane_of("mine"))
    assert message.attributes == {
        "id": "i1",
        "source": "team",
        "received_at": AT,
        "sha256": DIGEST,
        "ordering_key": "mine",
    }


def test_the_default_ordering_key_is_the_first_table() -> None:
    assert check_body(BODY).default_ordering_key == "t2"


@pytest.mark.parametrize("lanes", [1, 7, 256])
def test_what_was_composed_is_read_back(lanes: int) -> None:
    message = composed(lanes=lanes)
    assert message.lane == lane_of("mine", lanes)
    key = lane_name(message.lane)
    at = "2020-01-01T00:00:00Z"
    assert read_message(message.data, message.attributes, "77", at, key, lanes) == message
    copy = message._replace(copy_possible=True)
    assert read_message(copy.data, copy.attributes, "77", at, key, lanes) == copy
    traced = message._replace(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert read_message(traced.data, traced.attributes, "77", at, key, lanes) == traced


def test_only_a_possible_copy_says_so_in_its_attributes() -> None:
    message = composed()
    copy = message._replace(copy_possible=True)
    assert copy.attributes == {**message.attributes, "copy": "possible"}


def test_an_id_may_be_settled_already_if_it_is_derived_or_a_copy_is_possible() -> None:
    message = composed(id=new_id("mine"))
    assert not message.may_be_settled_already
    assert message._replace(copy_possible=True).may_be_settled_already
    assert composed(id=derive_id("team", "mine", "order-1")).may_be_settled_already


def test_the_lane_is_that_of_pubsubs_ordering_key() -> None:
    attributes = {"ordering_key": "mine"}
    assert read_message(BODY, attributes, "77", AT, "lane-05").lane == 5
    assert read_message(BODY, attributes, "77", AT, "theirs").lane == lane_of("theirs")
    assert read_message(BODY, attributes, "77", AT, "").lane == lane_of("77")


def test_a_message_of_another_publisher_gets_its_identity_from_pubsub() -> None:
    assert read_message(BODY, {}, "77", AT, "") == Message(
        BODY, "77", "", AT, DIGEST, "", lane_of("77")
    )
    assert read_message(b"", {"colour": "red"}, "78", AT, "k") == Message(
        b"", "78", "", AT, hashlib.sha256(b"").hexdigest(), "k", lane_of("k")
    )


def test_empty_attributes_count_as_absent() -> None:
    empty = dict.fromkeys(("id", "source", "received_at", "sha256", "ordering_key", "copy"), "")
    assert read_message(BODY, empty, "77", AT, "k") == Message(
        BODY, "77", "", AT, DIGEST, "k", lane_of("k")
    )


def test_a_wrong_digest_is_replaced_by_the_true_one() -> None:
    assert read_message(BODY, {"id": "i1", "sha256": "0" * 64}, "77", AT, "").sha256 == DIGEST


@pytest.mark.parametrize("field", ["id", "source", "ordering_key"])
def test_a_field_has_at_most_the_bytes_that_pubsub_holds(field: str) -> None:
    composed(BODY, **{field: "é" * 512})
    with pytest.raises(InvalidMessage, match="1025 bytes and Pub/Sub holds 1024"):
        composed(BODY, **{field: "é" * 512 + "x"})
    with pytest.raises(InvalidMessage, match="not valid Unicode"):
        composed(BODY, **{field: "\udcff"})


def test_the_longest_table_name_is_an_ordering_key() -> None:
    table = b"t" * 1024
    key = check_body(BODY.replace(b"t2", table)).default_ordering_key
    assert composed(ordering_key=key).ordering_key == table.decode()


def test_a_body_over_ten_megabytes_is_rejected() -> None:
    composed(b" " * 10_000_000)
    with pytest.raises(InvalidMessage, match="split it"):
        composed(b" " * 10_000_001)


@pytest.mark.parametrize("name", ["id", "source", "received_at", "ordering_key"])
def test_an_attribute_with_a_control_character_is_a_fault(name: str) -> None:
    assert faults_of_attributes({name: "a\nb", "colour": "\n"}) == [
        f"the attribute {name} has a control character"
    ]
    assert faults_of_attributes({name: "a b é"}) == []


def test_a_publish_call_holds_as_many_messages_and_bytes_as_it_may_in_order() -> None:
    sizes = [4, 4, 4, 1, 1, 1, 99]
    calls = publish_calls(sizes, int, max_messages=3, max_bytes=10)
    # A message that alone is past the limit still goes; the service has the last word.
    assert list(calls) == [[4, 4], [4, 1, 1], [1], [99]]
    assert list(publish_calls([], int)) == []


@given(st.lists(st.integers(0, 12)))
def test_cutting_loses_nothing_and_makes_no_call_that_could_join_the_one_before(
    sizes: list[int],
) -> None:
    calls = list(publish_calls(sizes, int, max_messages=3, max_bytes=10))
    assert [size for call in calls for size in call] == sizes
    assert all(len(call) <= 3 and (len(call) == 1 or sum(call) <= 10) for call in calls)
    for before, after in itertools.pairwise(calls):
        assert len(before) == 3 or sum(before) + after[0] > 10
