from ops.commands.deadletter.dead_letter_output import counts
from tests.support.dead_letters import letter


def test_counts_are_by_reason_and_table_the_most_first() -> None:
    one, two = ({"activities": [{"table": name} for name in names]} for names in ("a", "ab"))
    held = [letter("1", one), letter("2", two), letter("3", [])]
    assert counts(held) == [
        ("table_missing", "a", 2),
        ("table_missing", "(none)", 1),
        ("table_missing", "b", 1),
    ]
