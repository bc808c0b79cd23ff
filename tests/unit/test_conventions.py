"""What STYLE asks of names, words and sizes, counted over the repository's files."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED_MODULES = {"__init__", "__main__", "app", "conftest", "test_app"}
"""Their folder names them."""
WORDS = (
    r"told|at once|so many|whoever|mend(s|ed|ing)?|anew|beside|for good|of its own"
    r"|sift(s|ed|ing)?|(hand|hands|handed|handing) over|stand-ins?|stand(s|ing)? in"
)
"""Other words are plainer: immediately, n, fix, again, next to, permanently, its own."""
_WORD = re.compile(rf"\b({WORDS})\b".replace(" ", r"\s+(#\s+)?"), re.IGNORECASE)


def _files(suffix: str) -> Iterator[Path]:
    yield from ROOT.glob(f"*{suffix}")
    for folder in ("schema", "server", "workers", "ops", "examples", "tests", "docs"):
        yield from (ROOT / folder).rglob(f"*{suffix}")


@pytest.fixture(scope="module")
def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_bytes()) for path in _files(".py")}


def _source(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {path: tree for path, tree in modules.items() if ROOT / "tests" not in path.parents}


def test_a_module_or_class_name_is_there_once(modules: dict[Path, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules.items():
        classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for name in [path.stem, *classes]:
            places[name].append(str(path.relative_to(ROOT)))
    assert not {
        name: found
        for name, found in places.items()
        if len(found) > 1 and name not in SHARED_MODULES
    }


def test_a_module_has_at_most_300_lines(modules: dict[Path, ast.Module]) -> None:
    lines = {path: len(path.read_text().splitlines()) for path in _source(modules)}
    long = {str(path.relative_to(ROOT)) for path, count in lines.items() if count > 300}
    assert not long


def _body_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node, clean=False) is not None :]
            yield (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_half_of_the_functions_have_at_most_5_lines_and_nine_tenths_18(
    modules: dict[Path, ast.Module],
) -> None:
    sizes = sorted(chain.from_iterable(map(_body_lines, _source(modules).values())))
    assert sizes[len(sizes) // 2] <= 5
    assert sizes[len(sizes) * 9 // 10] <= 18


def test_no_word_of_our_own_is_in_code_or_documents(modules: dict[Path, ast.Module]) -> None:
    others = chain.from_iterable(
        map(_files, (".md", ".js", ".css", ".yml", ".bash", "page.html", ".example"))
    )
    found = Counter(
        (str(path.relative_to(ROOT)), " ".join(match[0].lower().split()))
        for path in {*modules, *others} - {Path(__file__)}
        for match in _WORD.finditer(path.read_text())
    )
    assert not found
