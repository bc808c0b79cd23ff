"""The steps of docs/upgrade.md, from a version whose ledger has no version yet, under load.

`pytest -rP tests/system/test_upgrade.py` prints the figures in docs/upgrade.md. It upgrades to what
is committed here.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.fleet.config import ROOT
from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from ops.runtime import clients
from schema import LEDGER_LABEL, LEDGER_VERSION
from tests.support.stream import Numbers, send, wait_until_applied

pytestmark = pytest.mark.timeout(1_800)

BEFORE = "1ce7a982ce0adac49cbdeee4f223ee8fe4bb4212"
"""The last commit without the dataset's label. Its requirements are those of today."""
CLIENTS = 4


def git(*words: str | Path, folder: Path = ROOT) -> str:
    command = ["git", "-C", str(folder), *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this repository, in which that commit is checked out."""
    try:
        git("cat-file", "-e", f"{BEFORE}^{{commit}}")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"the history here has no commit {BEFORE}")
    folder = tmp_path / "clone"
    git("clone", "--quiet", "--shared", "--no-checkout", ROOT, folder)
    git("checkout", "--quiet", BEFORE, folder=folder)
    return folder


@pytest.fixture
def old_fleet(clone: Path, tmp_path: Path) -> Iterator[DisposableFleet]:
    fleet = DisposableFleet(tmp_path, source=clone / "supervisord.conf")
    try:
        yield fleet
    except BaseException:
        sys.stderr.write(fleet.logs())
        raise
    finally:
        fleet.kill()


def ledger_version(fleet: DisposableFleet) -> str | None:
    client = clients.warehouse(fleet.settings)
    try:
        version: str | None = client.get_dataset(fleet.settings.dataset_path).labels.get(
            LEDGER_LABEL
        )
        return version
    finally:
        client.close()


async def test_an_upgrade_under_load_fails_no_request_and_loses_nothing(
    old_fleet: DisposableFleet, clone: Path
) -> None:
    fleet = old_fleet

    async def run(*words: str | Path) -> str:
        done = await asyncio.to_thread(fleet.command, *words, cwd=clone)
        return done.stdout

    async def roll(group: str) -> None:
        supervisorctl = (sys.executable, "-m", "supervisor.supervisorctl", "-c", fleet.conf)
        names = [each.name for each in fleet.states(group)]
        said = await run(*supervisorctl, "roll", group)
        assert said.splitlines() == [f"{name}: restarted" for name in names]

    gatekeeper = (sys.executable, "-m", "ops.commands")
    await run(clone / "ops" / "up")
    assert ledger_version(fleet) is None
    old = {each.pid for each in fleet.states("server", "worker")}
    accepted: set[int] = set()
    numbers = Numbers()
    sending = asyncio.create_task(
        send(fleet, "upgraded", numbers, accepted=accepted, clients=CLIENTS)
    )
    try:
        await asyncio.to_thread(wait_until, lambda: accepted, what="the load has begun")
        started = time.monotonic()
        git("checkout", "--quiet", git("rev-parse", "HEAD"), folder=clone)
        await run(clone / "ops" / "up")
        assert old == {each.pid for each in fleet.states("server", "worker")}
        await run(*gatekeeper, "provision", "--dry-run")
        assert ledger_version(fleet) is None
        await run(*gatekeeper, "provision")
        assert ledger_version(fleet) == str(LEDGER_VERSION)
        await roll("server")
        await roll("worker")
        seconds = time.monotonic() - started
        assert old.isdisjoint(each.pid for each in fleet.states("server", "worker"))
    finally:
        numbers.stopped = True
        await sending
    assert len(accepted) == numbers.given, "no request failed"
    counts = await asyncio.to_thread(wait_until_applied, fleet, "upgraded", accepted, 240)
    assert set(counts) == accepted
    assert set(counts.values()) == {1}
    await asyncio.to_thread(
        wait_until, lambda: fleet.gatekeeper("status", check=False).returncode == 0, 120
    )
    print({"requests": numbers.given, "failed": 0, "seconds": round(seconds)})  # noqa: T201  # for -rP
