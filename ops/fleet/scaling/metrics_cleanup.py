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


def forget(group: str, name: str, folder: Path, complain: Callable[[str], None]) -> None:
    """Delete the Pushgateway group of a process that has ended, beside supervisord's own work.

    `folder` is where its `.env` is. What fails is told to `complain`, from a thread.
    """
    thread = threading.Thread(
        target=_forget, args=(group, name, folder, complain), name=f"forget-{name}", daemon=True
    )
    thread.start()


def _forget(group: str, name: str, folder: Path, complain: Callable[[str], None]) -> None:
    try:
        settings = Settings.load(dotenv=folder / ".env")
    except InvalidSettings as faults:
        complain(f"the metrics of {name} stay on the Pushgateway: {faults}")
        return
    pusher = Pusher(settings, f"gatekeeper_{group}", name)
    for _ in range(ATTEMPTS):
        if asyncio.run(pusher.delete()):
            return
    complain(
        f"the metrics of {name} stay on the Pushgateway {settings.pushgateway_prometheus_host}, "
        "which cannot be reached; docs/runbook.md says how to delete them"
    )
