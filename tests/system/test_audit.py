"""`gatekeeper audit run` passes a fleet that keeps its promises, and no other."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops.fleet.config import ROOT
from ops.trial.audit_report import DEFECTS
from ops.trial.fault_kinds import KINDS
from ops.trial.trial import Trial, TrialPlan, TrialResult
from ops.trial.trial_scale import TrialScale

pytestmark = pytest.mark.timeout(1_200)  # the longest takes three minutes on two free cores

TRANSACTIONS = 250
SETTLE_SECONDS = 30.0
"""More than a lease, after which a killed worker's messages come back, and some slow commits."""


def _run(*words: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.commands", "audit", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def _copy_source(folder: Path, conf: str) -> None:
    """Copy what a trial needs of this repository, with another supervisord.conf."""
    for package in ("schema", "server", "workers", "ops"):
        ignored = shutil.ignore_patterns("__pycache__", "run")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    (folder / "ops" / "fleet" / "run").mkdir()
    (folder / "supervisord.conf").write_text(conf)


def test_an_unknown_fault_is_refused_by_name() -> None:
    refused = _run("run", "--kinds", "kill_worker,locusts")
    assert refused.returncode == 2
    assert "no such fault: locusts" in refused.stderr
    assert set(_run("run", "--kinds", "help").stdout.split()) == KINDS.keys()


def test_a_trial_runs_when_the_port_in_supervisord_conf_was_changed(tmp_path: Path) -> None:
    text = (ROOT / "supervisord.conf").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:  # the port of the fleet that is up
        changed = text.replace("tcp://127.0.0.1:8080", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        assert changed != text
        _copy_source(tmp_path, changed)
        done = _run("run", "--transactions", "60", "--faults", "0", root=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_kind_of_fault_loses_or_duplicates_a_transaction(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    faults = ["--transactions", "1000", "--faults", str(len(KINDS)), "--seed", "1"]
    done = _run("run", *faults, "--folder", str(folder), "--keep", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert {fault["kind"] for fault in report["faults"]} == KINDS.keys()
    assert report["accepted"] + report["refused"] > 1_000
    assert report["applied"] + sum(report["rejected"].values()) == report["accepted"]
    assert [report[defect] for defect in DEFECTS] == [0, 0, 0, 0]
    assert report["examined"] == ["ledger", "tables", "dead letters"]


class Removed(NamedTuple):
    """A protection that is removed, the count that must show it, and the faults that need it."""

    program: str
    sabotage: str
    defect: str
    kinds: tuple[str, ...]
    faults: int
    batch: int | None


_COPIES = ("bigquery_lose_commit", "kill_worker", "pubsub_deliver_to_two")
"""Faults by which a worker gets a transaction again: the server lets no published key through."""


@pytest.mark.parametrize(
    "removed",
    [
        # Small batches, so that many are in the works when workers die, and a repeat comes in
        # another than its original.
        Removed("worker", "ack_before_commit", "lost", ("kill_worker",), 4, 50),
        Removed("worker", "no_ledger", "duplicated", _COPIES, 9, 10),
        Removed("worker", "head_not_mutated", "duplicated", ("pubsub_deliver_to_two",), 12, 10),
        Removed("worker", "guard_too_narrow", "duplicated", ("kill_pubsub", "kill_server"), 10, 10),
        Removed("worker", "location_left_out", "unsettled", ("bigquery_lose_commit",), 6, 50),
        Removed("provision", "lane_in_two_workers", "out_of_order", ("pause_pushgateway",), 1, 10),
        Removed("server", "spool_unordered", "out_of_order", ("pubsub_refuse",), 1, None),
    ],
    ids=lambda removed: removed.sabotage,
)
def test_a_fleet_without_one_of_its_protections_is_caught(removed: Removed, tmp_path: Path) -> None:
    """In one of three trials: whether two commits meet that may not is chance, in most it is so."""
    scale = TrialScale.of(TRANSACTIONS)
    for seed in (1, 2, 3):
        plan = TrialPlan(
            TRANSACTIONS,
            removed.faults,
            seed,
            removed.kinds,
            {removed.program: ["tests.support.sabotage", removed.sabotage]},
            strict=("--location", "europe-west6")
            if removed.sabotage == "location_left_out"
            else None,
            settle_seconds=SETTLE_SECONDS,
            scale=scale._replace(batch_max_messages=removed.batch or scale.batch_max_messages),
        )
        (folder := tmp_path / str(seed)).mkdir()
        result: TrialResult = asyncio.run(Trial(plan, folder).run())
        if found := result.report.counts()[removed.defect]:
            break
    assert found, result.report.counts()
    assert not result.clean


def test_three_machines_lose_and_duplicate_no_transaction(tmp_path: Path) -> None:
    kinds = (
        *("kill_machine", "pause_machine", "partition", "orphan_job"),
        *("pubsub_deliver_to_two", "bigquery_late"),
    )
    plan = TrialPlan(400, len(kinds), 1, kinds, machines=3)
    result: TrialResult = asyncio.run(Trial(plan, tmp_path).run())
    assert {fault.kind for fault in result.faults} == set(kinds)
    assert result.clean, result.report.findings
