"""Deletes the metrics of a process from the Pushgateway after it was scaled away.

The process cannot do so itself: one that is killed, at its start or after draining for too long,
would leave its last figures there forever. So supervisord does it when the process has ended.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from ops.runtime import process
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import InvalidSettings, Settings

ATTEMPTS = 3


def delete_metrics(group: str, name: str, folder: Path, warn: Callable[[str], None]) -> None:
    """Delete the Pushgateway group of a process in a thread; failures go to `warn`.

    `folder` is the directory of its `.env`.
    """
    thread = threading.Thread(
        target=_delete_metrics,
        args=(group, name, folder, warn),
        name=f"metrics-{name}",
        daemon=True,
    )
    thread.start()


def _delete_metrics(group: str, name: str, folder: Path, warn: Callable[[str], None]) -> None:
    try:
        settings = Settings.load(dotenv=folder / ".env")
    except InvalidSettings as faults:
        warn(f"the metrics of {name} stay on the Pushgateway: {faults}")
        return
    name = process.full_name(settings.instance, name)
    pusher = Pusher(settings, f"gatekeeper_{group}", name)
    for _ in range(ATTEMPTS):
        if asyncio.run(pusher.delete()):
            return
    warn(
        f"the metrics of {name} stay on the Pushgateway {settings.pushgateway_prometheus_host}, "
        "which cannot be reached; docs/runbook.md says how to delete them"
    )
