"""The whole fleet under a real supervisord, with ports, state and logs of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from google.cloud import bigquery

from ops.rig.trial_fleet import TrialFleet
from ops.runtime import clients
from tests.support.processes import ROOT


class FleetUnderTest(TrialFleet):
    """The fleet of a trial, and what a test asks of it.

    Every command runs as an operator runs it. `end()` leaves no process behind.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        self._warehouse: bigquery.Client | None = None

    def up(self) -> str:
        """Run ops/up and return what it says."""
        return self.command(ROOT / "ops" / "up").stdout

    def down(self) -> str:
        """Run ops/down and return what it says."""
        return self.command(ROOT / "ops" / "down").stdout

    def gatekeeper(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `gatekeeper …`."""
        return self.command(sys.executable, "-m", "ops.commands", *words, check=check)

    def post(self, payload: object, path: str = "/api/activities") -> tuple[int, dict[str, Any]]:
        """POST a payload; return the status and the verdict."""
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, url: str) -> str:
        """GET a page's text."""
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run SQL in the fleet's warehouse and return its rows."""
        if self._warehouse is None:
            self._warehouse = clients.warehouse(self.settings)
        config = bigquery.QueryJobConfig(default_dataset=self.settings.dataset_path)
        return [dict(row) for row in self._warehouse.query_and_wait(sql, job_config=config)]

    def end(self) -> None:
        """Stop the fleet, and kill whatever would outlive it."""
        if self._warehouse is not None:
            self._warehouse.close()
        try:
            if self.supervisord.up:
                self.down()
        finally:
            leftovers = self.processes()
            for pid in leftovers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert not leftovers, f"processes {leftovers} outlived ops/down\n{self.logs()}"
