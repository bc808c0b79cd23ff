import hashlib
import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import Transaction, check_body
from schema.message import (
    InvalidMessage,
    Message,
    compose_message,
    derive_id,
    new_id,
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


@pytest.fixture
def transaction() -> Transaction:
    return check_body(BODY)


def composed(transaction: Transaction, **changes: str | None) -> Message:
    fields: dict[str, Any] = {"id": "i1", "source": "team", "received_at": AT}
    return compose_message(BODY, transaction, **{"ordering_key": None, **fields, **changes})


def test_a_message_carries_the_body_byte_for_byte_and_its_attributes(
    transaction: Transaction,
) -> None:
    message = composed(transaction)
    assert message == Message(BODY, "i1", "team", AT, DIGEST, "t2")
    assert message.attributes == {
        "id": "i1",
        "source": "team",
        "received_at": AT,
        "sha256": DIGEST,
    }


@pytest.mark.parametrize(("given_key", "expected"), [(None, "t2"), ("", "t2"), ("mine", "mine")])
def test_the_ordering_key_is_the_first_table_unless_one_is_given(
    transaction: Transaction, given_key: str | None, expected: str
) -> None:
    assert composed(transaction, ordering_key=given_key).ordering_key == expected


def test_what_was_composed_is_read_back(transaction: Transaction) -> None:
    message = composed(transaction)
    back = read_message(message.data, message.attributes, "77", "2020-01-01T00:00:00Z", "t2")
    assert back == message


def test_a_message_of_another_publisher_gets_its_identity_from_pubsub() -> None:
    assert read_message(BODY, {}, "77", AT, "") == Message(BODY, "77", "", AT, DIGEST, "")
    assert read_message(b"", {"colour": "red"}, "78", AT, "k") == Message(
        b"", "78", "", AT, hashlib.sha256(b"").hexdigest(), "k"
    )


def test_empty_attributes_count_as_absent() -> None:
    empty = {"id": "", "source": "", "received_at": "", "sha256": ""}
    assert read_message(BODY, empty, "77", AT, "k") == Message(BODY, "77", "", AT, DIGEST, "k")


def test_a_wrong_digest_is_replaced_by_the_true_one() -> None:
    assert read_message(BODY, {"id": "i1", "sha256": "0" * 64}, "77", AT, "").sha256 == DIGEST


@pytest.mark.parametrize("field", ["id", "source", "ordering_key"])
def test_a_field_has_at_most_the_bytes_that_pubsub_holds(
    transaction: Transaction, field: str
) -> None:
    composed(transaction, **{field: "é" * 512})
    with pytest.raises(InvalidMessage, match="1025 bytes and Pub/Sub holds 1024"):
        composed(transaction, **{field: "é" * 512 + "x"})
    with pytest.raises(InvalidMessage, match="not valid Unicode"):
        composed(transaction, **{field: "\udcff"})


def test_the_longest_table_name_is_an_ordering_key() -> None:
    table = b"t" * 1024
    transaction = check_body(BODY.replace(b"t2", table))
    assert composed(transaction).ordering_key == table.decode()


def test_a_body_over_ten_megabytes_is_rejected(transaction: Transaction) -> None:
    fields: dict[str, Any] = {"id": "i1", "source": "", "received_at": AT, "ordering_key": None}
    compose_message(b" " * 10_000_000, transaction, **fields)
    with pytest.raises(InvalidMessage, match="split it"):
        compose_message(b" " * 10_000_001, transaction, **fields)


def test_a_derived_id_is_stable() -> None:
    assert derive_id("team", "order-1") == derive_id("team", "order-1")
    assert derive_id("team", "order-1") == "1abe8acbafef566499a885b39964cfec"


def test_derived_ids_keep_sources_and_keys_apart() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("1:a", "b"), ("", "1:ab")]
    assert len({derive_id(*pair) for pair in pairs}) == len(pairs)


@given(st.text(), st.text(), st.text(), st.text())
def test_two_pairs_have_two_ids(a: str, b: str, c: str, d: str) -> None:
    assert (derive_id(a, b) == derive_id(c, d)) is ((a, b) == (c, d))


def test_a_key_with_undecodable_bytes_still_has_an_id() -> None:
    assert re.fullmatch("[0-9a-f]{32}", derive_id("team", b"\xff".decode(errors="surrogateescape")))


def test_new_ids_are_hex_and_never_the_same() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


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
