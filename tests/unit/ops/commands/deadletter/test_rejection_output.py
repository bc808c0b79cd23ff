from ops.commands.deadletter.rejection_output import counts
from tests.support.stored_rejections import stored


def test_counts_are_by_reason_and_table_the_most_first() -> None:
    named = (("a",), ("a", "b"), ())
    found = [stored(f"{n}")._replace(tables=tables) for n, tables in enumerate(named)]
    assert counts(found) == [
        ("table_missing", "a", 2),
        ("table_missing", "(none)", 1),
        ("table_missing", "b", 1),
    ]
