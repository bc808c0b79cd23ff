"""A fleet of a trial's own: supervisord.conf as committed, in a folder and on ports of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.fleet.config import ROOT, Fleet
from ops.fleet.ports import free_ports
from ops.runtime.settings import RULES, Settings
from ops.runtime.supervisord import State, Supervisord

COMMAND_SECONDS = 200
_COMMAND = "command=python -m ops.fleet.entrypoint "


class NotRunning(Exception):
    """A command of the fleet failed; the text has its output."""


class TrialFleet:
    """The fleet, not started yet; settings by environment, nothing from `.env` or the caller's.

    `prefixes` has for a program the words that go before its module: a launcher that runs it.
    `variables` has for a program settings that only it gets. `end()` leaves no process behind.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prefixes: Mapping[str, Sequence[str]] | None = None,
        variables: Mapping[str, Mapping[str, str]] | None = None,
        **settings: str,
    ) -> None:
        server, pubsub, warehouse, pushgateway = free_ports(4)
        self.folder = folder
        self.run = folder / "run"
        self.run.mkdir()
        self.conf = folder / "supervisord.conf"
        text = (ROOT / "supervisord.conf").read_text()
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{server}")
        text = text.replace("%(here)s/ops/fleet/run", str(self.run))
        text = text.replace("ops/fleet/run/*.conf", f"{self.run}/*.conf")
        text = text.replace("%(here)s", str(ROOT))
        for program in {**(prefixes or {}), **(variables or {})}:
            words, extra = (prefixes or {}).get(program, ()), (variables or {}).get(program, {})
            text = _with_launcher(text, program, words, extra)
        self.conf.write_text(text)
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
        """Run a command of the operator; raise NotRunning when it fails and `check` is set."""
        done = subprocess.run(  # noqa: S603  # the operator's own commands
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
            raise NotRunning(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self) -> str:
        """Bring the fleet up as ops/up does, where the environment is made already."""
        return self.command(sys.executable, "-m", "ops.fleet.up").stdout

    def start_supervisord(self) -> None:
        """Start supervisord, which starts everything else; wait for nothing."""
        self.command(sys.executable, "-m", "supervisor.supervisord", "-c", self.conf)

    def states(self, group: str | None = None) -> list[State]:
        """Return the processes that supervisord has, or those of one group."""
        return [each for each in self.supervisord.states() if group in {None, each.group}]

    @property
    def supervisord_pid(self) -> int:
        """Supervisord's own process id."""
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

    def kill(self) -> list[int]:
        """Kill supervisord and every process of the fleet; return who outlived supervisord."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.supervisord_pid, signal.SIGKILL)
        leftovers = self.processes()
        for _ in range(50):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not self.processes():
                break
            time.sleep(0.1)
        return leftovers


def _with_launcher(
    text: str, program: str, words: Sequence[str], variables: Mapping[str, str]
) -> str:
    """Put words before a program's module, and give it variables of its own."""
    pattern = re.compile(
        rf"^(\[(?:fcgi-program|program):{program}\]$(?:(?!^\[).)*?^){re.escape(_COMMAND)}",
        re.MULTILINE | re.DOTALL,
    )
    given = "".join(f"{name}={value} " for name, value in variables.items())
    command = f"command=env {given}python -m ops.fleet.entrypoint " + " ".join([*words, ""])
    changed, count = pattern.subn(lambda match: match.group(1) + command, text)
    if count != 1:
        raise ValueError(f"supervisord.conf has no {_COMMAND.strip()} for {program}")
    return changed
