import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import (
    LANES,
    MAX_LANES,
    derive_id,
    is_derived_id,
    lane_name,
    lane_of,
    lane_of_id,
    lane_of_ordering_key,
    new_id,
)

LANE_COUNTS = st.integers(1, MAX_LANES)


def test_a_keys_lane_is_the_same_for_every_publisher() -> None:
    assert lane_of("t1") == zlib.crc32(b"t1") % LANES == 23
    assert lane_of("é", 7) == zlib.crc32("é".encode()) % 7


@given(st.text(), LANE_COUNTS)
def test_a_lane_is_below_the_number_of_lanes(key: str, lanes: int) -> None:
    assert 0 <= lane_of(key, lanes) < lanes


def test_keys_are_spread_over_all_lanes() -> None:
    counts = [0] * LANES
    for number in range(32_000):
        counts[lane_of(f"customer-{number}")] += 1
    assert min(counts) > 800
    assert max(counts) < 1_200


def test_a_key_with_undecodable_bytes_has_a_lane() -> None:
    assert lane_of(b"\xff".decode(errors="surrogateescape")) == zlib.crc32(b"\xff") % LANES


@pytest.mark.parametrize(("lane", "name"), [(0, "lane-00"), (7, "lane-07"), (255, "lane-255")])
def test_a_lanes_name(lane: int, name: str) -> None:
    assert lane_name(lane) == name


@given(st.integers(0, MAX_LANES - 1))
def test_the_lane_is_read_from_its_name(lane: int) -> None:
    assert lane_of_ordering_key(lane_name(lane), MAX_LANES) == lane


@pytest.mark.parametrize("key", ["lane-32", "lane-7", "lane-0007", "lane-07x", "Lane-07", "t1", ""])
def test_another_publishers_ordering_key_is_a_key(key: str) -> None:
    assert lane_of_ordering_key(key, 32) == lane_of(key, 32)


@given(st.text() | st.integers(0, 300).map(lane_name), LANE_COUNTS)
def test_every_ordering_key_of_pubsub_has_a_lane(key: str, lanes: int) -> None:
    assert 0 <= lane_of_ordering_key(key, lanes) < lanes


@given(st.text(), st.text(), st.text(), LANE_COUNTS)
def test_an_id_begins_with_the_lane_of_its_ordering_key(
    source: str, ordering_key: str, key: str, lanes: int
) -> None:
    lane = lane_of(ordering_key, lanes)
    for id_ in (derive_id(source, ordering_key, key, lanes), new_id(ordering_key, lanes)):
        assert re.fullmatch("[0-9a-f]{32}", id_)
        assert id_.startswith(f"{lane:02x}")
        assert lane_of_id(id_, lanes) == lane


@given(st.text(), st.text(), st.text())
def test_whether_an_id_is_derived_is_read_from_it(source: str, ordering_key: str, key: str) -> None:
    assert is_derived_id(derive_id(source, ordering_key, key))
    assert not is_derived_id(new_id(ordering_key))


@pytest.mark.parametrize("id_", ["", "77", "order-1", "0F8" + "0" * 29, "0f8" + "0" * 30])
def test_another_publishers_id_has_no_lane_and_is_not_derived(id_: str) -> None:
    assert lane_of_id(id_) is None
    assert not is_derived_id(id_)


def test_an_id_of_more_lanes_than_there_are_has_no_lane() -> None:
    assert lane_of_id("1f" + "0" * 30, 32) == 31
    assert lane_of_id("20" + "0" * 30, 32) is None


def test_a_derived_id_is_stable() -> None:
    assert derive_id("team", "t1", "order-1") == derive_id("team", "t1", "order-1")
    assert derive_id("team", "t1", "order-1") == "17bbf48d06cdc9b0fa28dddfa2699656"


def test_derived_ids_keep_sources_ordering_keys_and_keys_apart() -> None:
    triples = [
        ("a", "b", "cd"), ("a", "bc", "d"), ("ab", "c", "d"), ("", "abc", "d"), ("abcd", "", ""),
        ("", "", "abcd"), ("1:a", "b", "cd"), ("", "1:ab", "cd"), ("a", "1:b", "cd"),
    ]  # fmt: skip
    assert len({derive_id(*triple) for triple in triples}) == len(triples)


TRIPLES = st.tuples(st.text(), st.text(), st.text())


@given(TRIPLES, TRIPLES)
def test_two_triples_have_two_ids(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (derive_id(*one) == derive_id(*other)) is (one == other)


def test_a_key_with_undecodable_bytes_still_has_an_id() -> None:
    undecodable = b"\xff".decode(errors="surrogateescape")
    assert re.fullmatch("[0-9a-f]{32}", derive_id("team", "t1", undecodable))


def test_new_ids_are_never_the_same() -> None:
    assert len({new_id("t1") for _ in range(1000)}) == 1000
