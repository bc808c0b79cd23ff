"""Waits until a starting fleet is ready; fails when one of its processes dies."""

import json
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

from ops.fleet.config import FleetConfig
from ops.runtime import direct_http
from ops.runtime.supervisord import ProcessState, Supervisord

READY_SECONDS = 180.0
REPORT_SECONDS = 3.0
POLL_SECONDS = 0.2
"""Each look costs a hundredth of a second of a processor that the fleet starts on."""
LOG_LINES = 15
_DIED = {"BACKOFF", "FATAL", "UNKNOWN"}


class StartFailed(Exception):
    """The fleet did not start; the text gives the reason and a remedy."""


class StartupMonitor:
    """Polls the processes of one supervisord."""

    def __init__(self, fleet: FleetConfig, supervisord: Supervisord) -> None:
        self._fleet = fleet
        self._supervisord = supervisord
        self._pids: dict[str, int] = {}

    def check_alive(self) -> list[ProcessState]:
        """Return the processes' states; raise `StartFailed` with the log of one that died.

        A new process id shows that supervisord has already restarted one.
        """
        states = self._supervisord.states()
        for state in states:
            replaced = state.pid and self._pids.setdefault(state.name, state.pid) != state.pid
            failed = state.state == "EXITED" and state.exit_status != 0
            if replaced or failed or state.state in _DIED:
                raise self._died(state.name)
        return states

    def _died(self, name: str) -> StartFailed:
        log = self._fleet.log_of(name)
        return StartFailed(
            f"{name} died. The end of {relative(log)}:\n{end_of(log)}\n"
            "supervisord continues to restart it: `supervisorctl status` shows it, ops/down "
            "stops it"
        )

    def wait(
        self,
        missing: Callable[[list[ProcessState]], str | None],
        on_progress: Callable[[str], None],
        seconds: float = READY_SECONDS,
    ) -> None:
        """Wait until `missing` returns None; raise `StartFailed` with its reason at the limit."""
        started = reported = time.monotonic()
        while reason := missing(self.check_alive()):
            now = time.monotonic()
            if now - started > seconds:
                raise StartFailed(f"not ready after {seconds:g} s: {reason}")
            if now - reported > REPORT_SECONDS:
                reported = now
                on_progress(f"  waiting ({now - started:.0f} s): {reason}")
            time.sleep(POLL_SECONDS)


class ReadinessCheck:
    """Returns the reason why the fleet is not ready yet, or None."""

    def __init__(self, fleet: FleetConfig) -> None:
        self._url = f"http://{fleet.reachable}/readyz"

    def __call__(self, states: list[ProcessState]) -> str | None:
        running = {each.group for each in states if each.state == "RUNNING"}
        wanted = {each.group for each in states}  # a machine may have no servers, or no workers
        for group in ("worker", "server"):
            if group in wanted and group not in running:
                return f"no {group} is running yet"
        if "provision" in running:
            return "topics and tables are being created (ops/fleet/run/provision.log)"
        return self._not_ready() if "server" in wanted else None

    def _not_ready(self) -> str | None:
        try:
            with direct_http.open_url(self._url, 5):
                return None
        except urllib.error.HTTPError as error:
            return f"/readyz answers {error.code} {_reason(error)}".rstrip()
        except OSError as error:
            return f"/readyz does not answer: {error}"


def _reason(answer: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(answer.read(2_000))
    except ValueError:
        return ""
    return str(found.get("error") or "") if isinstance(found, dict) else ""


def end_of(log: Path) -> str:
    """Return the last lines of a log, indented."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (empty)"


def relative(path: Path) -> Path:
    """Return a path relative to the working directory, if it is inside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
