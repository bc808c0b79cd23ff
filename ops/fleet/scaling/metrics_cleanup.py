"""Deletes the metrics of processes that have ended from the Pushgateway.

A process that ends deletes its own. One that is killed cannot, and would leave its last figures
there forever. So supervisord does it when a process has ended, however that was, and at its own
start for all processes of this machine that an earlier supervisord left.
"""

import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from supervisor import events

from ops.runtime import process
from ops.runtime.pushed_metrics import read_pushed
from ops.runtime.pushgateway import delete_group
from ops.runtime.settings import InvalidSettings, Settings

ATTEMPTS: Final = 3
START_SECONDS: Final = 60.0
"""How long the start of the local Pushgateway is waited for."""
JOBS: Final[Mapping[str, str]] = {
    "server": "gatekeeper_server",
    "worker": "gatekeeper_worker",
    "notifier": "gatekeeper_notifier",
    "autoscale": "gatekeeper_autoscaler",
}
"""The programs that push, and the job of each."""


class MetricsCleanup:
    """Works in daemon threads, as supervisord must not wait; failures go to its log."""

    def __init__(self, supervisord: Any) -> None:
        self._warn: Callable[[str], None] = supervisord.options.logger.warn
        for ended in (
            events.ProcessStateExitedEvent,
            events.ProcessStateStoppedEvent,
            events.ProcessStateBackoffEvent,
        ):
            events.subscribe(ended, self._on_ended)
        # Not before: supervisord forks to become a daemon, and a fork has no threads, but keeps
        # the locks that they held.
        events.subscribe(events.SupervisorRunningEvent, self._on_running)
        self._groups = supervisord.process_groups

    def _on_running(self, _event: Any) -> None:
        groups = [group for name, group in self._groups.items() if name in JOBS]
        for folder in {_folder(each) for group in groups for each in group.config.process_configs}:
            self._start(_delete_earlier, folder, time.time())

    def _on_ended(self, event: Any) -> None:
        config, group = event.process.config, event.process.group.config.name
        if group in JOBS:
            self._start(_delete, _folder(config), JOBS[group], config.name)

    def _start(self, delete: Callable[..., str | None], folder: Path, *words: object) -> None:
        """Call `delete` with the settings of a folder, its `.env`, and log what it returns."""

        def run() -> None:
            try:
                settings = Settings.load(dotenv=folder / ".env")
            except InvalidSettings as faults:
                self._warn(f"metrics of ended processes stay on the Pushgateway: {faults}")
                return
            gateway = settings.pushgateway_prometheus_host
            if gateway is not None and (failure := delete(settings, gateway, *words)):
                self._warn(
                    f"{failure} stay on the Pushgateway {gateway}, which cannot be reached; "
                    "docs/runbook.md says how to delete them"
                )

        threading.Thread(target=run, name="metrics-cleanup", daemon=True).start()


def _folder(config: Any) -> Path:
    return Path(config.directory or ".")


def _delete(settings: Settings, gateway: str, job: str, own_name: str) -> str | None:
    """Delete the group of a process of this machine; return what is left after a failure."""
    name = process.full_name(settings.instance, own_name)
    deleted = any(_deleted(gateway, job, name) for _ in range(ATTEMPTS))
    return None if deleted else f"the metrics of {name}"


def _deleted(gateway: str, job: str, name: str) -> bool:
    try:
        delete_group(gateway, job, name)
    except (OSError, HTTPException):
        return False
    return True


def _delete_earlier(settings: Settings, gateway: str, started_at: float) -> str | None:
    """Delete this machine's groups that were pushed before; return what is left after a failure.

    The local Pushgateway starts after supervisord, so it gets the time.
    """
    left = "the metrics of an earlier fleet"
    while True:
        try:
            groups = read_pushed(settings, ())
        except OSError:
            if time.time() > started_at + START_SECONDS:
                return left
            time.sleep(1)
        else:
            break
    earlier = [
        each for each in groups if each.machine == settings.instance and each.pushed_at < started_at
    ]
    done = [_deleted(gateway, each.job, each.instance) for each in earlier]
    return None if all(done) else left
