"""Takes the metrics of a process that is scaled away off the Pushgateway, once it has ended.

It cannot do so itself: one that is killed, while it starts or because it drained for too long, has
no say, and its last figures would be shown for ever. So supervisord does, when the process is gone.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import InvalidSettings, Settings

ATTEMPTS = 3


def delete_metrics(group: str, name: str, folder: Path, warn: Callable[[str], None]) -> None:
    """Delete the Pushgateway group of a process that has ended, beside supervisord's own work.

    `folder` is where its `.env` is. What fails is told to `warn`, from a thread.
    """
    thread = threading.Thread(
        target=_delete_metrics,
        args=(group, name, folder, warn),
        name=f"delete_metrics-{name}",
        daemon=True,
    )
    thread.start()


def _delete_metrics(group: str, name: str, folder: Path, warn: Callable[[str], None]) -> None:
    try:
        settings = Settings.load(dotenv=folder / ".env")
    except InvalidSettings as faults:
        warn(f"the metrics of {name} stay on the Pushgateway: {faults}")
        return
    pusher = Pusher(settings, f"gatekeeper_{group}", name)
    for _ in range(ATTEMPTS):
        if asyncio.run(pusher.delete()):
            return
    warn(
        f"the metrics of {name} stay on the Pushgateway {settings.pushgateway_prometheus_host}, "
        "which cannot be reached; docs/runbook.md says how to delete them"
    )
