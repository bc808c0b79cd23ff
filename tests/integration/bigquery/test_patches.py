"""local-bigquery without and with our changes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.fleet.config import ROOT
from ops.local.bigquery import patches
from ops.local.bigquery.maintenance_lock import MaintenanceLock

SCRIPT = Path(__file__).with_name("unpatched.py")

REFUSED = "NOT NULL constraint failed: strict.n"
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


def test_without_the_changes_each_one_is_needed(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found["digits"] == "1.123456789012345679000000000000", "18 decimals of 30"
    assert found["wide_refused"]
    assert found["wide_type"] == "NUMERIC"
    assert found["added_precision"] is None
    assert found["undeclared_precisions"] == [None, None, None]
    assert found["dropping"] is None
    assert found["conflict"] == "Failed to commit: Failed to commit DuckLake transaction."
    assert found["failed_statements"] == [REFUSED, "wrong", REFUSED]
    assert found["parameters_kept"]
    assert found["in_lists"] == IN_LISTS
    assert found["lists_searched"]


def test_with_the_changes_it_behaves_like_bigquery(tmp_path: Path) -> None:
    found = facts(tmp_path, "patched")
    assert found["digits"] == "1.123456789012345678901234567891"
    assert not found["wide_refused"]
    assert found["wide_type"] == "BIGNUMERIC"
    assert found["added_precision"] == "5"
    assert found["undeclared_precisions"] == ["12", None, None]
    assert found["dropping"] is None
    assert found["conflict"].startswith("Transaction is aborted due to concurrent update: ")
    assert found["failed_statements"] == [f"{REFUSED} at [2:36]", "wrong at [3:1]", REFUSED]
    assert not found["parameters_kept"]
    assert found["in_lists"] == IN_LISTS
    assert not found["lists_searched"]


def test_another_version_of_local_bigquery_is_refused() -> None:
    with pytest.raises(patches.WrongVersion, match=r"0\.0\.1 is needed"):
        patches.apply(MaintenanceLock(), "0.0.1")
