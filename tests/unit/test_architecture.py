"""docs/architecture.md and the other documents use only files and functions that exist."""

import ast
import re

import pytest

from ops.fleet.config import ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
STOPS = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| `([\w.]+)` \|", ARCHITECTURE, re.MULTILINE)
FILE = re.compile(
    r"(?<![\w./…-])((?:schema|server|workers|ops|tests|docs)(?:/[\w.-]+)+)(?![\w*])(?!/)"
)
WRITTEN_LATER = {"ops/commands/NAME.py"}


def functions(file: str) -> set[str]:
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, methods)}
    return found


def test_the_path_of_a_transaction_has_at_most_20_stops() -> None:
    assert 10 < len(STOPS) <= 20
    assert len(set(STOPS)) == len(STOPS)


@pytest.mark.parametrize(("file", "function"), STOPS)
def test_every_stop_exists(file: str, function: str) -> None:
    assert function in functions(file)


@pytest.mark.parametrize(
    "document",
    ["README.md", "SECURITY.md", "docs/architecture.md", "docs/runbook.md", "docs/semantics.md"],
)
def test_every_file_in_a_document_exists(document: str) -> None:
    paths = {path.rstrip(".") for path in FILE.findall((ROOT / document).read_text())}
    written_by_a_run = {path for path in paths if path.startswith("ops/fleet/run/")}
    missing = {
        path for path in paths - written_by_a_run - WRITTEN_LATER if not (ROOT / path).exists()
    }
    assert missing == set()
