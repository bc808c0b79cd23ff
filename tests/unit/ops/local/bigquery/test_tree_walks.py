"""The search through a tree finds what sqlglot's own finds, in its order."""

import pytest
import sqlglot
from sqlglot import exp

from ops.local.bigquery.tree_walks import find_all

STATEMENTS = [
    "SELECT a, b + 1 AS c FROM (SELECT x FROM t WHERE a IN (1, 2)) AS s JOIN t AS u ON s.x = u.a",
    "MERGE INTO t USING (SELECT 1 AS a) AS s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "CREATE TABLE t (a INT64 NOT NULL, b STRUCT<c STRING>) PARTITION BY DATE(a)",
]
KINDS: list[tuple[type[exp.Expr], ...]] = [(exp.Expr,), (exp.Column, exp.Table), (exp.Unnest,)]


@pytest.mark.parametrize("text", STATEMENTS)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("bfs", [True, False])
def test_the_nodes_are_found_in_sqlglots_order(
    text: str,
    kinds: tuple[type[exp.Expr], ...],
    bfs: bool,  # noqa: FBT001  # a parameter
) -> None:
    tree = sqlglot.parse_one(text, dialect="bigquery")
    expected = [each for each in tree.walk(bfs=bfs) if isinstance(each, kinds)]
    found = list(find_all(tree, *kinds, bfs=bfs))
    assert [id(each) for each in found] == [id(each) for each in expected]


def test_a_node_that_the_caller_changes_has_its_new_children() -> None:
    tree = sqlglot.parse_one("SELECT a + b", dialect="bigquery")
    found = []
    for node in find_all(tree, exp.Add, exp.Column, exp.Literal):
        if isinstance(node, exp.Add):
            node.set("expression", exp.Literal.number(1))
        else:
            found.append(node.sql())
    assert found == ["a", "1"]
