"""The cache of translations, with a translator that only counts."""

from typing import TYPE_CHECKING, Any

import pytest
import sqlglot
from local_bigquery.sql.translate import Context

from ops.local.bigquery.parsed_trees import SOURCE_TEXT
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
        bound = dict(context.values)
        return f"translation {self.made} {' '.join(f'${name}' for name in bound)}", bound


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
    tree.meta[SOURCE_TEXT] = text
    return tree


def test_a_statement_is_translated_once_and_has_its_own_values_each_time(
    cache: TranslationCache,
) -> None:
    first, second = _context("[1]"), _context("[2]")
    assert cache.translate(_tree(), first) == ("translation 1 $rows", {"rows": "[1]"})
    assert cache.translate(_tree(), second) == ("translation 1 $rows", {"rows": "[2]"})
    assert first.referenced == second.referenced == {("p", "d", "t")}


def _two(first: str, second: str, declared: str = "${}") -> tuple[Any, Any]:
    """Return a statement with two parameters of these names, and its context."""
    text = INSERT.replace("@rows", f"@{first}") + f" WHERE a > @{second} OR a < @{first}"
    names = (first, second)
    types = {name: declared.format(name) for name in names}
    return _tree(text), Context("p", "d", types, {name: f"value of {name}" for name in names})


def test_the_names_of_parameters_do_not_matter(cache: TranslationCache) -> None:
    cache.translate(*_two("rows_0", "rows_1"))
    found = cache.translate(*_two("rows_1", "rows_0"))
    values = {"rows_1": "value of rows_1", "rows_0": "value of rows_0"}
    assert found == ("translation 1 $rows_1 $rows_0", values)
    assert cache.translate(*_two("one", "one"))[0] == "translation 2 $one"
    integers = _two("rows_1", "rows_0", "CAST(${} AS BIGINT)")
    assert cache.translate(*integers)[0] == "translation 3 $rows_1 $rows_0"


@pytest.mark.parametrize("text", ["@", "$rows"])
def test_a_text_with_such_signs_in_strings_is_cached_with_its_names(
    cache: TranslationCache, text: str
) -> None:
    for number, name in enumerate(("rows", "others", "rows")):
        tree = _tree(f"DELETE FROM t WHERE a = '{text}' OR a = @{name}")
        found = cache.translate(tree, Context("p", "d", {name: f"${name}"}, {name: "1"}))
        assert found[0] == f"translation {number % 2 + 1} ${name}"


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
    assert cache.translate(_tree(), context)[0] == "translation 2 $rows"


def test_only_a_statement_with_its_text_is_cached(cache: TranslationCache) -> None:
    tree = sqlglot.parse_one(INSERT, dialect="bigquery")
    cache.translate(tree, _context("[1]"))
    assert cache.translate(tree, _context("[1]"))[0] == "translation 2 $rows"


def test_a_change_of_the_catalog_also_invalidates_translations_being_made(
    cache: TranslationCache, counting: Counting
) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.invalidate()
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2 $rows"
    other = INSERT.replace("INTO t", "INTO u")
    counting.meanwhile = cache.invalidate
    cache.translate(_tree(other), _context("[1]"))
    assert cache.translate(_tree(other), _context("[1]"))[0] == "translation 4 $rows"


def test_a_change_of_a_table_invalidates_only_translations_that_name_it(
    cache: TranslationCache, counting: Counting
) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.invalidate(("p", "d", "another"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 1 $rows"
    cache.invalidate(("p", "d", "T"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2 $rows"
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2 $rows"
    cache.invalidate()
    counting.meanwhile = lambda: cache.invalidate(("p", "d", "t"))
    cache.translate(_tree(), _context("[1]"))
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 4 $rows"


def test_nothing_is_cached_after_disable(cache: TranslationCache) -> None:
    cache.translate(_tree(), _context("[1]"))
    cache.disable()
    assert cache.translate(_tree(), _context("[1]"))[0] == "translation 2 $rows"


def test_the_number_of_translations_is_bounded(counting: Counting) -> None:
    cache = TranslationCache(counting, max_translations=2)
    for number in range(3):
        cache.translate(_tree(f"DELETE FROM t{number} WHERE a = @rows"), _context("1"))
    for table, translation in (("t2", "translation 3 $rows"), ("t0", "translation 4 $rows")):
        tree = _tree(f"DELETE FROM {table} WHERE a = @rows")
        assert cache.translate(tree, _context("1"))[0] == translation
