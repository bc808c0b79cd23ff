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

from ops.fleet.config import Fleet
from ops.runtime import clients
from ops.runtime.settings import RULES, Settings
from ops.runtime.supervisord import State, Supervisord
from tests.support.processes import ROOT, free_ports

COMMAND_SECONDS = 200


class FleetUnderTest:
    """supervisord.conf as committed, but for its port and its folder; settings by environment.

    Every command runs as an operator runs it. `end()` leaves no process behind.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        server, pubsub, warehouse, pushgateway = free_ports(4)
        self.run = folder / "run"
        self.run.mkdir()
        self.conf = folder / "supervisord.conf"
        text = (ROOT / "supervisord.conf").read_text()
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{server}")
        text = text.replace("%(here)s/ops/fleet/run", str(self.run))
        text = text.replace("ops/fleet/run/*.conf", f"{self.run}/*.conf")
        self.conf.write_text(text.replace("%(here)s", str(ROOT)))
        self.variables = {
            **dict.fromkeys(RULES, ""),  # nothing from the environment or .env
            "STATE_DIR": str(folder / "state"),
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub}",
            "BIGQUERY_EMULATOR_HOST": f"127.0.0.1:{warehouse}",
            "PUSHGATEWAY_PROMETHEUS_HOST": f"127.0.0.1:{pushgateway}",
            "METRICS_PUSH_SECONDS": "0.5",
            "BATCH_MAX_SECONDS": "0.2",
            "LEASE_SECONDS": "10",  # a killed worker's messages come back soon
            **settings,
        }
        self.settings = Settings.load({**self.variables}, dotenv=folder / "no.env")
        self.address = f"127.0.0.1:{server}"
        self.supervisord = Supervisord(self.run / "s.sock")
        self._warehouse: bigquery.Client | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The environment of every command."""
        return {
            **os.environ,
            **self.variables,
            "SUPERVISORD_CONF": str(self.conf),
            "GATEKEEPER_VENV": sys.prefix,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def command(
        self, *words: str | Path, check: bool = True, cwd: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the operator; fail with its output when it fails and `check` is set."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

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

    def states(self, group: str | None = None) -> list[State]:
        """Return the processes that supervisord has, or those of one group."""
        return [each for each in self.supervisord.states() if group in {None, each.group}]

    @property
    def supervisord_pid(self) -> int:
        """supervisord's own process id."""
        return int(Fleet.read(self.conf).pid_file.read_text())

    def processes(self) -> list[int]:
        """Return the process ids of supervisord's children, orphans of a killed one included."""
        marker = f"SUPERVISOR_SERVER_URL=unix://{self.run}/".encode()
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if marker in file.read_bytes():
                    found.append(int(file.parent.name))
        return found

    def logs(self) -> str:
        """Return the end of every log, for a failure's report."""
        return "\n".join(
            f"--- {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-20:])
            for file in sorted(self.run.glob("*.log"))
        )

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
