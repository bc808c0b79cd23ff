"""`python -m ops.local.pubsub`: the local Pub/Sub, until SIGTERM."""

import socket
import sys
from pathlib import Path

from ops.local.launcher import launch
from ops.local.pubsub.grpc_server import serve
from ops.local.pubsub.message_store import InUse
from ops.runtime import log, process
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error

logger = log.get(__name__)


def main() -> int:
    return launch("the local Pub/Sub", "pubsub", "PUBSUB_EMULATOR_HOST", _run)


def _run(settings: Settings, listener: socket.socket) -> int:
    listener.close()  # gRPC binds the address itself
    directory = settings.state_dir / "pubsub"
    return process.run(lambda: _serve(str(settings.pubsub_emulator_host), directory))


async def _serve(address: str, directory: Path) -> int:
    logger.info("starting", address=address, state_dir=directory)
    try:
        await serve(address, directory, process.stop_event())
    except (InUse, OSError) as error:
        write_error(f"the local Pub/Sub cannot start: {error}")
        return 1
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
