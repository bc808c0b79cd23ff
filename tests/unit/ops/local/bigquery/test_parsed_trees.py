"""The cache of parsed statements, with a parser that counts."""

from typing import Any

import pytest
import sqlglot

from ops.local.bigquery.parsed_trees import SOURCE_TEXT, ParsedTrees

MERGE = (
    "MERGE INTO t USING (SELECT @rows AS a) AS s ON t.a = s.a "
    "WHEN MATCHED AND s.a != @other THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (@rows)"
)


class Parsing:
    """sqlglot's parser, which counts the texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> list[Any]:
        self.texts.append(text)
        return list(sqlglot.parse(text, dialect="bigquery"))


@pytest.fixture
def parsing() -> Parsing:
    return Parsing()


@pytest.fixture
def trees(parsing: Parsing) -> ParsedTrees:
    return ParsedTrees(parsing)


@pytest.mark.parametrize(
    "names", [("rows", "other"), ("other", "rows"), ("rows_1", "rows_0"), ("x", "y")]
)
def test_a_statement_with_other_names_is_the_same_as_parsed_and_is_not_parsed(
    trees: ParsedTrees, parsing: Parsing, names: tuple[str, str]
) -> None:
    text = MERGE.replace("@rows", "@1").replace("@other", f"@{names[1]}").replace("1", names[0])
    trees.parse(MERGE)
    for _ in range(2):
        (tree,) = trees.parse(text)
        assert tree == sqlglot.parse_one(text, dialect="bigquery")
        assert tree.meta[SOURCE_TEXT] == text
        tree.args["using"].pop()  # whatever is done to a tree is not done to the next one
    assert parsing.texts == [MERGE]


@pytest.mark.parametrize(
    "pair",
    [
        ("DELETE FROM t WHERE a = 'x@y'", "DELETE FROM t WHERE a = 'x@z'"),
        ("DELETE FROM t WHERE a = @x OR b = @x", "DELETE FROM t WHERE a = @x OR b = @y"),
        ("DELETE FROM t WHERE a = @x OR b = '@x'", "DELETE FROM t WHERE a = @y OR b = '@y'"),
        ("DELETE FROM t WHERE a = @x OR b = '$x'", "DELETE FROM t WHERE a = @x OR b = '$y'"),
        ("SELECT @x", "SELECT @y"),
    ],
)
def test_statements_that_differ_in_more_than_names_are_parsed(
    trees: ParsedTrees, pair: tuple[str, str]
) -> None:
    for text in (*pair, *pair):
        assert trees.parse(text) == [sqlglot.parse_one(text, dialect="bigquery")]


def test_only_statements_that_change_rows_have_their_text(trees: ParsedTrees) -> None:
    texts = "SELECT @x", "CREATE TABLE t (a INT64)", "SELECT 1; SELECT 2"
    assert not any(SOURCE_TEXT in tree.meta for text in texts for tree in trees.parse(text))
