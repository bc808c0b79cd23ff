from datetime import timedelta

import pytest

from ops.runtime.letter import DeadLetter, tables
from tests.support.dead_letters import NOW, received


def test_a_letter_has_what_the_workers_published() -> None:
    found = DeadLetter.read(received("a1", {"activities": [{"table": "t"}]}, minutes=7))
    assert (found.id, found.source, found.tables) == ("a1", "shop", ("t",))
    assert (found.reason, found.error) == ("table_missing", "because")
    assert found.since == NOW - timedelta(minutes=7)


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
