import pytest

from ops.bench import apply


@pytest.mark.parametrize(("tables", "sets"), apply.SHAPES)
def test_statements_do_not_grow_with_transactions(tables: int, sets: int) -> None:
    assert apply.statements(100, tables, sets) == apply.statements(1_000, tables, sets)
    assert apply.statements(1_000, tables, sets) == tables * sets * 2
