"""Waits for a fleet that starts, and notices a process that dies on the way."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ops.fleet.config import FleetConfig
from ops.runtime.supervisord import ProcessState, Supervisord

READY_SECONDS = 180.0
REPORT_SECONDS = 3.0
LOG_LINES = 15
_DIED = {"BACKOFF", "FATAL", "UNKNOWN"}


class StartFailed(Exception):
    """The fleet could not be brought up; the text says why, and what to do."""


class StartupMonitor:
    """Looks at the processes of one supervisord, again and again."""

    def __init__(self, fleet: FleetConfig, supervisord: Supervisord) -> None:
        self._fleet = fleet
        self._supervisord = supervisord
        self._pids: dict[str, int] = {}

    def check_alive(self) -> list[ProcessState]:
        """Return the processes' states; raise `StartFailed` with the log of one that died.

        One that supervisord has already started again is known by its new process id.
        """
        states = self._supervisord.states()
        for state in states:
            replaced = state.pid and self._pids.setdefault(state.name, state.pid) != state.pid
            failed = state.state == "EXITED" and state.exit_status != 0
            if replaced or failed or state.state in _DIED:
                raise StartFailed(self._obituary(state.name))
        return states

    def _obituary(self, name: str) -> str:
        log = self._fleet.log_of(name)
        return (
            f"{name} died. The end of {relative(log)}:\n{end_of(log)}\n"
            "supervisord goes on trying: `supervisorctl status` shows it, ops/down stops it"
        )

    def wait(
        self,
        missing: Callable[[list[ProcessState]], str | None],
        say: Callable[[str], None],
        seconds: float = READY_SECONDS,
    ) -> None:
        """Wait until `missing` says that nothing is; raise `StartFailed` after so many seconds."""
        started = reported = time.monotonic()
        while reason := missing(self.check_alive()):
            now = time.monotonic()
            if now - started > seconds:
                raise StartFailed(f"not ready after {seconds:g} s: {reason}")
            if now - reported > REPORT_SECONDS:
                reported = now
                say(f"  waiting ({now - started:.0f} s): {reason}")
            time.sleep(0.1)


class ReadinessCheck:
    """Says what is still missing before the gate is ready; None when nothing is."""

    def __init__(self, fleet: FleetConfig) -> None:
        self._url = f"http://{fleet.reachable}/readyz"

    def __call__(self, states: list[ProcessState]) -> str | None:
        """Look at the processes first, then ask a server."""
        for group in ("worker", "server"):
            if not any(each.group == group and each.state == "RUNNING" for each in states):
                return f"no {group} is running yet"
        if any(each.name == "provision" and each.state == "RUNNING" for each in states):
            return "topics and tables are being made (ops/fleet/run/provision.log)"
        return self._not_ready()

    def _not_ready(self) -> str | None:
        try:
            with urllib.request.urlopen(self._url, timeout=5):  # noqa: S310  # http alone
                return None
        except urllib.error.HTTPError as error:
            with error:
                return f"/readyz answers {error.code} {_reason(error)}".rstrip()
        except OSError as error:
            return f"/readyz does not answer: {error}"


def _reason(answer: urllib.error.HTTPError) -> str:
    text = answer.read(2_000).decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return str(found.get("error") or "") if isinstance(found, dict) else ""


def end_of(log: Path) -> str:
    """Return the last lines of a log, indented."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (empty)"


def relative(path: Path) -> Path:
    """Return a path as short as a person in the working directory needs it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
