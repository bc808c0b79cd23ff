from datetime import UTC, datetime

import pytest
from sqlglot import exp, parse_one

from ops.rig.strict_bigquery.partition_bounds import Bounds, bounds

FIRST = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
SECOND = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
INFINITE = float("inf")


def found(sql: str, table: str = "t", **parameters: str) -> Bounds:
    tree = parse_one(sql, dialect="bigquery")
    (node,) = (each for each in tree.find_all(exp.Table) if each.name == table)
    return bounds(node, "day", parameters)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("day >= TIMESTAMP '2026-01-01 00:00:00+00'", Bounds(low=FIRST)),
        ("day < '2026-01-02'", Bounds(high=SECOND)),
        ("'2026-01-01' <= t.day AND n = 1", Bounds(low=FIRST)),
        ("day = DATE '2026-01-01'", Bounds(FIRST, FIRST)),
        ("day BETWEEN '2026-01-01' AND '2026-01-02'", Bounds(FIRST, SECOND)),
        ("(day >= '2026-01-01') AND (day <= '2026-01-02')", Bounds(FIRST, SECOND)),
        ("day >= CAST(@since AS TIMESTAMP)", Bounds(low=FIRST)),
        ("day >= '2026-01-01' OR n = 1", Bounds()),
        ("NOT day >= '2026-01-01'", Bounds()),
        ("day >= CURRENT_TIMESTAMP()", Bounds()),
        ("other >= '2026-01-01'", Bounds()),
        ("u.day >= '2026-01-01'", Bounds()),
    ],
)
def test_constant_bounds_that_hold_for_every_row(condition: str, expected: Bounds) -> None:
    sql = f"DELETE FROM t WHERE {condition}"
    assert found(sql, since="2026-01-01 00:00:00+00:00") == expected


def test_a_merge_is_bound_by_its_condition() -> None:
    sql = "MERGE t USING u AS s ON t.day >= '2026-01-01' AND t.n = s.n WHEN MATCHED THEN DELETE"
    assert found(sql) == Bounds(low=FIRST)
    assert found(sql, "u") == Bounds()


def test_a_subquery_has_its_own_bounds() -> None:
    sql = "UPDATE h SET n = 1 WHERE n = 2 AND NOT EXISTS (SELECT 1 FROM t WHERE day >= @since)"
    assert found(sql, since="2026-01-01") == Bounds(low=FIRST)
    assert found(sql, "h", since="2026-01-01") == Bounds()
