"""A MERGE that deletes and updates is two for DuckLake; each is cached under another text."""

from typing import Any

import pytest
from local_bigquery.sql import translate

from ops.local.bigquery.native_merge import _parts
from ops.local.bigquery.parsed_trees import SOURCE_TEXT

_HEAD = "MERGE INTO `p.d.t` AS t USING (SELECT 1 AS k, 'd' AS kind) AS s ON t.a = s.k"
_DELETE = " WHEN MATCHED AND s.kind = 'd' THEN DELETE"
_UPDATE = " WHEN MATCHED AND s.kind != 'd' THEN UPDATE SET a = s.k"
_INSERT = " WHEN NOT MATCHED AND s.kind = 'i' THEN INSERT (a) VALUES (s.k)"


def _parsed(sql: str) -> Any:
    (tree,) = translate.parse(sql)
    tree.meta[SOURCE_TEXT] = sql
    return tree


def _clauses(tree: Any) -> list[str]:
    return [type(each.args["then"]).__name__ for each in tree.args["whens"].expressions]


@pytest.mark.parametrize("clauses", [_DELETE, _UPDATE, _INSERT, _DELETE + _INSERT])
def test_a_merge_with_one_action_on_rows_that_match_stays_as_it_is(clauses: str) -> None:
    tree = _parsed(_HEAD + clauses)

    assert [*_parts(tree)] == [tree]


def test_a_merge_that_deletes_and_updates_deletes_first() -> None:
    tree = _parsed(_HEAD + _DELETE + _UPDATE + _INSERT)
    deleting, rest = _parts(tree)

    assert _clauses(deleting) == ["Var"]
    assert _clauses(rest) == ["Update", "Insert"]
    texts = [each.meta[SOURCE_TEXT] for each in (tree, deleting, rest)]
    assert len(set(texts)) == 3
    assert _clauses(tree) == ["Var", "Update", "Insert"]
