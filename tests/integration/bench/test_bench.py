"""`gatekeeper bench` at its smallest size. The figures are not checked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ops.fleet.config import ROOT


def measured(bench: str, folder: Path, *more: str) -> dict[str, Any]:
    file = folder / "found.json"
    words = ["bench", bench, "--quick", "--json", str(file), "--plots", str(folder), *more]
    done = subprocess.run(
        [sys.executable, "-m", "ops.commands", *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text())
    assert found["machine"]["cores"]
    result: dict[str, Any]
    (result,) = found["results"]
    assert result["title"] in done.stdout
    for plot in result["plots"]:
        assert (folder / f"{plot['name']}.svg").stat().st_size > 1_000
    return result


def test_ingest_compares_the_server_with_its_baselines(tmp_path: Path) -> None:
    (turns,) = measured("ingest", tmp_path)["data"].values()
    assert list(turns) == ["gatekeeper", "null", "futures", "minimal"]
    for rounds in turns.values():
        for turn in rounds:
            assert turn["rate"] > 0
            assert turn["p99"] >= turn["p50"] > 0


def test_apply_splits_a_transaction_into_its_stages(tmp_path: Path) -> None:
    result = measured("apply", tmp_path)
    names = {check["name"] for check in result["checks"]}
    own = {"apply_cpu", "apply_statements", "apply_fold", "apply_keyed"}
    assert names == own | {"contract_check", "contract_load", "contract_memory"}
    (load,) = result["data"]["loads"]
    assert load["seconds"] > 0
    for stages in result["data"]["stages"]:
        assert all(stages[name] >= 0 for name in ("check", "decode", "plan", "fold", "sql"))
    assert all(worker["rate"] > 0 for worker in result["data"]["workers"])


def test_locust_writes_its_reports_to_the_given_folder(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    relative = os.path.relpath(reports, ROOT)
    result = measured("locust", tmp_path, "--reports", relative)
    assert [check["name"] for check in result["checks"]] == ["locust_failures"]
    assert (reports / "locust.html").stat().st_size > 1_000
