"""The memory of translations, on a translation that only counts."""

from typing import Any

import pytest
import sqlglot
from local_bigquery.sql.translate import Context

from ops.local.bigquery import translations
from ops.local.bigquery.translations import Translations

INSERT = "INSERT INTO t (a) SELECT a FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS a"


class Counting:
    """Numbers its translations; `meanwhile` happens in the middle of each."""

    def __init__(self) -> None:
        self.made = 0
        self.meanwhile = lambda: None

    def __call__(self, _tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
        self.made += 1
        self.meanwhile()
        context.referenced.add(("p", "d", "t"))
        return f"translation {self.made}", {"rows": context.values["rows"]}


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def memory(counting: Counting) -> Translations:
    return Translations(counting)


def _context(rows: object, declared: str = "$rows", **changes: Any) -> Any:
    context = Context("p", "d", {"rows": declared}, {"rows": rows})
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def _tree(text: str = INSERT) -> Any:
    tree = sqlglot.parse_one(text, dialect="bigquery")
    tree.meta[translations._SOURCE] = text
    return tree


def test_a_statement_is_translated_once_and_has_its_own_values_each_time(
    memory: Translations,
) -> None:
    first, second = _context("[1]"), _context("[2]")
    assert memory.translate(_tree(), first) == ("translation 1", {"rows": "[1]"})
    assert memory.translate(_tree(), second) == ("translation 1", {"rows": "[2]"})
    assert first.referenced == second.referenced == {("p", "d", "t")}


@pytest.mark.parametrize(
    "context",
    [
        _context("[2]", "CAST($rows AS BIGINT)"),
        _context("[2]", variables={"x": "temp.x"}),
        _context("[2]", temporary={"t"}),
        _context("[2]", functions={"f": "temp.f"}),
        _context("[2]", dataset_id="another"),
        _context("[2]", project_id="another"),
    ],
)
def test_what_a_translation_depends_on_is_looked_at(memory: Translations, context: Any) -> None:
    memory.translate(_tree(), _context("[1]"))
    assert memory.translate(_tree(), context)[0] == "translation 2"


def test_only_what_has_its_text_is_remembered(memory: Translations) -> None:
    tree = sqlglot.parse_one(INSERT, dialect="bigquery")
    memory.translate(tree, _context("[1]"))
    assert memory.translate(tree, _context("[1]"))[0] == "translation 2"


def test_a_change_of_the_catalog_forgets_also_what_is_being_translated(
    memory: Translations, counting: Counting
) -> None:
    memory.translate(_tree(), _context("[1]"))
    memory.forget()
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 2"
    other = INSERT.replace("INTO t", "INTO u")
    counting.meanwhile = memory.forget
    memory.translate(_tree(other), _context("[1]"))
    assert memory.translate(_tree(other), _context("[1]"))[0] == "translation 4"


def test_a_change_of_a_table_forgets_what_names_it_and_nothing_else(
    memory: Translations, counting: Counting
) -> None:
    memory.translate(_tree(), _context("[1]"))
    memory.forget(("p", "d", "another"))
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 1"
    memory.forget(("p", "d", "T"))
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 2"
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 2"
    memory.forget()
    counting.meanwhile = lambda: memory.forget(("p", "d", "t"))
    memory.translate(_tree(), _context("[1]"))
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 4"


def test_nothing_is_remembered_after_giving_up(memory: Translations) -> None:
    memory.translate(_tree(), _context("[1]"))
    memory.give_up()
    assert memory.translate(_tree(), _context("[1]"))[0] == "translation 2"


def test_it_holds_so_many_and_no_more(
    memory: Translations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translations, "REMEMBERED", 2)
    for number in range(3):
        memory.translate(_tree(f"DELETE FROM t{number} WHERE a = @rows"), _context("1"))
    assert memory.translate(_tree("DELETE FROM t2 WHERE a = @rows"), _context("1"))[0][-1] == "3"
    assert memory.translate(_tree("DELETE FROM t0 WHERE a = @rows"), _context("1"))[0][-1] == "4"
