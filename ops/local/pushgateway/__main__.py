"""`python -m ops.local.pushgateway`: the Pushgateway, in local mode."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path

from aiohttp import web

from ops.local.listener import bind, split_address
from ops.local.pushgateway.gateway import create_app
from ops.local.pushgateway.metric_groups import MetricGroups
from ops.runtime import log, process

BINARIES = ("prometheus-pushgateway", "pushgateway")
SAVE_SECONDS = 30.0
DRAIN_SECONDS = 3.0

logger = log.get(__name__)


def main() -> int:
    """Run the real Pushgateway if it is installed, else our own until SIGTERM."""
    settings = process.settings_or_exit()
    address = settings.pushgateway_prometheus_host
    if not settings.local:
        sys.stdout.write("the local Pushgateway is not needed: PROJECT_ID is set\n")
        return 0
    log.setup(process.name("local_pushgateway"), settings)
    try:
        listener = bind(*split_address(address))
    except OSError as error:
        sys.stderr.write(
            f"the local Pushgateway cannot listen on {address} (PUSHGATEWAY_PROMETHEUS_HOST): "
            f"{error.strerror}\n"
        )
        return 1
    directory = settings.state_dir.resolve() / "pushgateway"
    directory.mkdir(parents=True, exist_ok=True)
    for binary in filter(None, map(shutil.which, BINARIES)):
        listener.close()
        sys.stdout.flush()
        # The process becomes the binary, so supervisord's signals reach it directly.
        os.execv(binary, command(binary, address, directory))  # noqa: S606
    return process.run(lambda: serve(listener, directory / "metric_groups.json"))


def command(binary: str, address: str, directory: Path) -> list[str]:
    """Return the real Pushgateway's command line; its groups survive a restart."""
    return [
        binary,
        f"--web.listen-address={address}",
        f"--persistence.file={directory / 'metrics'}",
        "--log.level=warn",
    ]


async def serve(listener: socket.socket, file: Path) -> int:
    """Serve on this socket until SIGTERM; the groups are saved in the file."""
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
