"""A whole fleet for a trial, a benchmark or a test, with its own folder and ports."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from google.cloud import bigquery

from ops.fleet.config import ROOT, FleetConfig
from ops.fleet.config_copy import write_copy
from ops.rig.environment import LocalServices
from ops.rig.processes import RunFailed, wait_until
from ops.runtime import clients, direct_http
from ops.runtime.supervisord import ProcessState, Supervisord

COMMAND_SECONDS = 200
KILL_SECONDS = 10
_LOG_LINES = 20
# A killed worker's messages are delivered again soon, a test sees results soon, and few tables are
# made at the start: each lane has three.
_QUICK = {
    "METRICS_PUSH_SECONDS": "0.5",
    "BATCH_MAX_SECONDS": "0.2",
    "LEASE_SECONDS": "10",
    "LANES": "8",
}


class DisposableFleet(LocalServices):
    """`with DisposableFleet(folder) as fleet:` runs it; every command runs as an operator runs it.

    `launchers` has the words between the entry point and a program's module, `variables` settings
    for one program alone, `processes` the number of its processes. Servers listen at `address`, by
    default a free port of loopback. `within` has words before every command, which run it in a
    network namespace for example. Settings given as "" have their defaults. Nothing outlives the
    block.
    """

    def __init__(  # noqa: PLR0913  # all but the folder by keyword
        self,
        folder: Path,
        *,
        launchers: Mapping[str, Sequence[str]] | None = None,
        variables: Mapping[str, Mapping[str, str]] | None = None,
        processes: Mapping[str, int] | None = None,
        source: Path = ROOT / "supervisord.conf",
        address: str | None = None,
        within: Sequence[str] = (),
        **settings: str,
    ) -> None:
        super().__init__(folder, **_QUICK | settings)
        self.address = address or self.address
        self._within = within
        self.run = folder / "run"
        self.run.mkdir()
        self.conf = folder / "supervisord.conf"
        write_copy(
            self.conf,
            run_folder=self.run,
            address=self.address,
            launchers=launchers,
            environment=variables,
            processes=processes,
            source=source,
        )
        self.supervisord = Supervisord(self.run / "s.sock")
        self.environ = {
            **os.environ,
            **self.variables,
            "SUPERVISORD_CONF": str(self.conf),
            "GATEKEEPER_VENV": sys.prefix,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        # As ops/environment.bash does: with it every process compiles every module at its start.
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._warehouse: bigquery.Client | None = None

    def command(
        self, *words: str | Path, check: bool = True, cwd: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the fleet's environment; raises RunFailed if it fails and `check`."""
        done = subprocess.run(  # noqa: S603  # the operator's own commands
            [str(word) for word in (*self._within, *words)],
            cwd=cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise RunFailed(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def gatekeeper(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `gatekeeper …`."""
        return self.command(sys.executable, "-m", "ops.commands", *words, check=check)

    def up(self) -> str:
        """Start the fleet as ops/up does, without its installation; return what it prints."""
        return self.command(sys.executable, "-m", "ops.fleet.up").stdout

    def down(self) -> str:
        """Drain and stop the fleet as ops/down does; return what it prints."""
        return self.command(sys.executable, "-m", "ops.fleet.down").stdout

    def end(self) -> None:
        """Drain and stop the fleet; raises RunFailed for processes that outlive it, killed now."""
        if self._warehouse is not None:
            self._warehouse.close()
            self._warehouse = None
        try:
            if self.supervisord.up:
                self.down()
        finally:
            outlived = self.kill()
        if outlived:
            raise RunFailed(f"processes {outlived} outlived ops/down\n{self.logs()}")

    def kill(self) -> list[int]:
        """Kill supervisord and every process of the fleet; return what outlived supervisord."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.supervisord_pid, signal.SIGKILL)
        outlived = self.processes()
        wait_until(self._all_killed, KILL_SECONDS, "the fleet's processes end")
        return outlived

    def lose(self) -> None:
        """Kill the whole machine: nothing of it drains, or restarts anything."""
        os.kill(self.supervisord_pid, signal.SIGSTOP)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.kill()

    def _all_killed(self) -> bool:
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end()
        else:
            self.kill()

    def start_supervisord(self) -> None:
        """Start supervisord, which starts everything else; do not wait for that."""
        self.command(sys.executable, "-m", "supervisor.supervisord", "-c", self.conf)

    def states(self, *groups: str) -> list[ProcessState]:
        """Return supervisord's processes: all, or those of some groups."""
        states = self.supervisord.states()
        return [each for each in states if not groups or each.group in groups]

    @property
    def supervisord_pid(self) -> int:
        return FleetConfig.read(self.conf).supervisord_pid

    def processes(self, *groups: str) -> list[int]:
        """Return the ids of supervisord's children: all, or those of some groups.

        Those of a supervisord that was killed, too.
        """
        url = f"unix://{self.run}/s.sock"
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environ = process.environ()
                if environ.get("SUPERVISOR_SERVER_URL") != url:
                    continue
                if not groups or environ.get("SUPERVISOR_GROUP_NAME") in groups:
                    found.append(process.pid)
        return found

    def logs(self) -> str:
        """Return the end of every log."""
        return "\n".join(
            "\n".join([f"--- {file.name}", *_last_lines(file)])
            for file in sorted(self.run.glob("*.log"))
        )

    def post(self, payload: object, path: str = "/api/activities") -> tuple[int, dict[str, Any]]:
        """POST a payload; return the status and the verdict."""
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with direct_http.open_url(request, 30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, url: str) -> str:
        """Return the text of a page."""
        with direct_http.open_url(url, 10) as answer:
            text: str = answer.read().decode()
            return text

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run SQL in the fleet's warehouse and return its rows."""
        if self._warehouse is None:
            self._warehouse = clients.warehouse(self.settings)
        config = bigquery.QueryJobConfig(default_dataset=self.settings.dataset_path)
        return [dict(row) for row in self._warehouse.query_and_wait(sql, job_config=config)]


def _last_lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
