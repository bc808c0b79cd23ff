import pytest

from ops.bench import apply_stages


@pytest.mark.parametrize(("tables", "sets"), apply_stages.SHAPES)
def test_statements_do_not_grow_with_transactions(tables: int, sets: int) -> None:
    assert apply_stages.statement_count(100, tables, sets) == apply_stages.statement_count(
        1_000, tables, sets
    )
    assert apply_stages.statement_count(1_000, tables, sets) == tables * sets
