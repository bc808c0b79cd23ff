"""The cache of translations, with a translator that only counts."""

from typing import TYPE_CHECKING, Any

import pytest
import sqlglot
from local_bigquery.sql.translate import Context

from ops.local.bigquery import translation_cache
from ops.local.bigquery.translation_cache import TranslationCache

if TYPE_CHECKING:
    from collections.abc import Callable

INSERT = "INSERT INTO t (a) SELECT a FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS a"


class Counting:
    """Numbers its translations; calls `meanwhile` in the middle of each."""

    def __init__(self) -> None:
        self.made = 0
        self.meanwhile: Callable[[], object] = int

    def __call__(self, _tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
        self.made += 1
        self.meanwhile()
        context.referenced.add(("p", "d", "t"))
        return f"translation {self.made}", {"rows": context.values["rows"]}


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def cache(counting: Counting) -> TranslationCache:
    return TranslationCache(counting)


def _context(rows: object, declared: str = "$rows", **changes: Any) -> Any:
    context = Context("p", "d", {"rows": declared}, {"rows": rows})
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def _tree(text: str = INSERT) -> Any:
    tree = sqlglot.parse_one(text, dialect="bigquery")
    tree.meta[translation_cache.SOURCE_TEXT] = text
    return tree


def test_a_statement_is_translated_once_and_has_its_own_values_each_time(
    cache: TranslationCache,
) -> None:
    first, second = _context("[1]"), _context("[2]")
    assert cache.translate(_tree(), first) == ("translation 1", {"rows": "[1]"})
    assert cache.translate(_tree(), second) == ("translation 1", {"rows": "[2]"})
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
def test_another_context_needs_another_translation(cache: TranslationCache, context: Any) -> None:
    cache.translate(_tree(), _context("[1]"))
    assert cache.translate(_tree(), context)[0] == "translation 2"


def test_only_a_statement_with_its_text_is_cached(cache: TranslationCache) -> None:
    tree = sqlglot.parse_one(INSERT, dialect="bigquery")
    cache.translate(tree, _context("[1]"))
    assert cache.translate(tree, _context("[1]"))[0] == "translation 2"


def test_a_change_of_the_catalog_also_invalidates_translations_being_made(
    cache: TranslationCache, counting: Counting
) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.invalidate()
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2"
    other = INSERT.replace("INTO t", "INTO u")
    counting.meanwhile = cache.invalidate
    cache.translate(_tree(other), _context("[1]"))
    assert cache.translate(_tree(other), _context("[1]"))[0] == "translation 4"


def test_a_change_of_a_table_invalidates_only_translations_that_name_it(
    cache: TranslationCache, counting: Counting
) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.invalidate(("p", "d", "another"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 1"
    cache.invalidate(("p", "d", "T"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2"
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2"
    cache.invalidate()
    counting.meanwhile = lambda: cache.invalidate(("p", "d", "t"))
    cache.translate(_tree(), _context("[1]"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 4"


def test_nothing_is_cached_after_disable(cache: TranslationCache) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.disable()
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2"


def test_the_number_of_translations_is_bounded(counting: Counting) -> None:
    cache = TranslationCache(counting, max_translations=2)
    for number in range(3):
        cache.translate(_tree(f"DELETE FROM t{number} WHERE a = @rows"), _context("1"))
    assert cache.translate(_tree("DELETE FROM t2 WHERE a = @rows"), _context("1"))[0][-1] == "3"
    assert cache.translate(_tree("DELETE FROM t0 WHERE a = @rows"), _context("1"))[0][-1] == "4"
