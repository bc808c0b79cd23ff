"""The import contracts of pyproject.toml fail when an import goes the wrong way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    for name in ("schema", "server", "workers", "ops"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "run")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def broken_contracts(tree: Path) -> set[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tree), "PATH": ""},
    )
    assert done.returncode in {0, 1}, done.stderr
    broken = {
        line.removesuffix(" BROKEN")
        for line in done.stdout.splitlines()
        if line.endswith(" BROKEN")
    }
    assert bool(broken) == (done.returncode == 1), done.stdout
    return broken


@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("schema/ledger.py", "ops.runtime.settings", "Imports run one way"),
        ("server/app.py", "workers.fold", "Imports run one way"),
        ("ops/commands/__main__.py", "ops.trial.model", "Imports run one way"),
        ("server/http/body.py", "server.api.responses", "Inside the server"),
        ("server/publish/topic.py", "server.api.responses", "Publishing and the spool"),
        ("ops/commands/__main__.py", "server.spool.store", "Only the spool"),
    ],
)
def test_an_import_the_wrong_way_breaks_its_contract(
    tree: Path, importer: str, imported: str, contract: str
) -> None:
    file = tree / importer
    text = file.read_text()
    file.write_text(f"{text}\nimport {imported}\n")
    try:
        broken = broken_contracts(tree)
    finally:
        file.write_text(text)
    assert any(name.startswith(contract) for name in broken), broken


def test_the_tree_as_it_is_breaks_none(tree: Path) -> None:
    assert broken_contracts(tree) == set()
