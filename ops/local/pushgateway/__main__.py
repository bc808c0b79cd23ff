"""`python -m ops.local.pushgateway`: the Pushgateway of local mode, until SIGTERM."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path

from ops.local.launcher import launch
from ops.runtime import log, process
from ops.runtime.settings import Settings

BINARIES = ("prometheus-pushgateway", "pushgateway")
SAVE_SECONDS = 30.0
DRAIN_SECONDS = 3.0

logger = log.get(__name__)


def main() -> int:
    return launch("the local Pushgateway", "local_pushgateway", "PUSHGATEWAY_PROMETHEUS_HOST", _run)


def _run(settings: Settings, listener: socket.socket) -> int:
    """Run the real Pushgateway if it is installed, else our own."""
    directory = settings.state_dir.resolve() / "pushgateway"
    directory.mkdir(parents=True, exist_ok=True)
    for binary in filter(None, map(shutil.which, BINARIES)):
        listener.close()
        command = [
            binary,
            f"--web.listen-address={settings.pushgateway_prometheus_host}",
            f"--persistence.file={directory / 'metrics'}",
            "--log.level=warn",
        ]
        # The process becomes the binary, so supervisord's signals reach it directly.
        os.execv(binary, command)  # noqa: S606
    return process.run(lambda: _serve(listener, directory / "metric_groups.json"))


async def _serve(listener: socket.socket, file: Path) -> int:
    # A process that becomes the binary needs neither.
    from aiohttp import web  # noqa: PLC0415

    from ops.local.pushgateway.gateway import create_app  # noqa: PLC0415
    from ops.local.pushgateway.metric_groups import MetricGroups  # noqa: PLC0415

    stop = process.stop_event()
    groups = MetricGroups(file)
    runner = web.AppRunner(create_app(groups), access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    logger.info("local_pushgateway_ready", address=listener.getsockname()[:2])
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SAVE_SECONDS)
        groups.save()
    await runner.cleanup()
    groups.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
