"""`python -m ops.local.pushgateway`: the Pushgateway, in local mode."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path

from aiohttp import web

from ops.local.pushgateway.app import create_app
from ops.local.pushgateway.groups import Groups
from ops.runtime import log, process

BINARIES = ("prometheus-pushgateway", "pushgateway")
SAVE_SECONDS = 30.0
DRAIN_SECONDS = 3.0

logger = log.get(__name__)


def main() -> int:
    """Become the real Pushgateway where it is installed, else serve the stand-in until SIGTERM."""
    settings = process.settings_or_exit()
    address = settings.pushgateway_prometheus_host
    if not settings.local:
        sys.stdout.write("the local Pushgateway is not needed: PROJECT_ID is set\n")
        return 0
    log.setup(process.name("local_pushgateway"), settings)
    if fault := refusal(address):
        sys.stderr.write(
            f"the local Pushgateway cannot listen on {address} (PUSHGATEWAY_PROMETHEUS_HOST): "
            f"{fault}\n"
        )
        return 1
    directory = settings.state_dir.resolve() / "pushgateway"
    directory.mkdir(parents=True, exist_ok=True)
    for binary in filter(None, map(shutil.which, BINARIES)):
        sys.stdout.flush()
        # supervisord's signals then reach it directly.
        os.execv(binary, command(binary, address, directory))  # noqa: S606
    return process.run(lambda: serve(address, directory / "groups.json"))


def refusal(address: str) -> str | None:
    """Return why `host:port` cannot be listened on; None where it can."""
    try:
        listen(address).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `host:port`; raise OSError where it cannot."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family)


def command(binary: str, address: str, directory: Path) -> list[str]:
    """Return the real Pushgateway's command line; its groups outlive a restart."""
    return [
        binary,
        f"--web.listen-address={address}",
        f"--persistence.file={directory / 'metrics'}",
        "--log.level=warn",
    ]


async def serve(address: str, file: Path) -> int:
    """Serve the stand-in at `host:port` until SIGTERM; the groups are kept in the file."""
    stop = process.stop_event()
    groups = Groups(file)
    runner = web.AppRunner(create_app(groups), access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listen(address)).start()
    logger.info("local_pushgateway_ready", address=address)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SAVE_SECONDS)
        groups.save()
    await runner.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
