import pytest

from ops.runtime.letter import merge_copies, tables
from tests.support.dead_letters import NOW, letter, received


def test_copies_of_a_letter_are_one_and_bodies_under_one_id_are_two() -> None:
    found = merge_copies(
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
