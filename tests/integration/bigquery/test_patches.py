"""What local-bigquery does as it comes, and what the changes make of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.local.bigquery import patches
from ops.local.bigquery.gate import Gate
from tests.support.processes import ROOT

SCRIPT = Path(__file__).with_name("unpatched.py")

IN_LISTS = {
    '["a","b"]': [True, False, None],
    "[]": [False, False, False],
    '["a",null]': [True, None, None],
}
"""Whether 'a', 'z' and NULL are in each."""


def facts(directory: Path, *arguments: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, SCRIPT, directory, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(Path.home())},
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_as_it_comes_it_needs_every_change(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found["digits"] == "1.123456789012345679000000000000", "18 decimals of 30"
    assert found["wide_refused"]
    assert found["wide_type"] == "NUMERIC"
    assert found["added_precision"] is None
    assert found["undeclared_precisions"] == [None, None, None]
    assert found["dropping"] is None
    assert found["conflict"] == "Failed to commit: Failed to commit DuckLake transaction."
    assert found["parameters_kept"]
    assert found["in_lists"] == IN_LISTS
    assert found["lists_searched"]


def test_with_the_changes_it_does_as_bigquery_does(tmp_path: Path) -> None:
    found = facts(tmp_path, "patched")
    assert found["digits"] == "1.123456789012345678901234567891"
    assert not found["wide_refused"]
    assert found["wide_type"] == "BIGNUMERIC"
    assert found["added_precision"] == "5"
    assert found["undeclared_precisions"] == ["12", None, None]
    assert found["dropping"] is None
    assert found["conflict"].startswith("Transaction is aborted due to concurrent update: ")
    assert not found["parameters_kept"]
    assert found["in_lists"] == IN_LISTS
    assert not found["lists_searched"]


def test_another_version_than_the_one_they_are_made_for_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patches, "VERSION", "0.0.1")
    with pytest.raises(patches.WrongVersion, match=r"0\.0\.1 is needed"):
        patches.apply(Gate())
