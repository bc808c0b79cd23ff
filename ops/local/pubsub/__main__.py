"""`python -m ops.local.pubsub`: runs the server until SIGTERM."""

import argparse
import sys
from pathlib import Path

from ops.local.pubsub.grpc_server import serve
from ops.local.pubsub.message_store import InUse
from ops.runtime import log, process

logger = log.get(__name__)


def main() -> int:
    """Run the server; return the process's exit status."""
    settings = process.settings_or_exit()
    if not settings.local:
        sys.stderr.write("pubsub: not needed, PROJECT_ID is set and Google's Pub/Sub serves it\n")
        return 0
    host, _, port = (settings.pubsub_emulator_host or "").rpartition(":")
    parser = argparse.ArgumentParser(prog="python -m ops.local.pubsub", description=__doc__)
    parser.add_argument("--host", default=host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", default=port, type=int, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--state-dir",
        default=settings.state_dir / "pubsub",
        type=Path,
        help="directory of the database (%(default)s)",
    )
    arguments = parser.parse_args()
    log.setup(process.name("pubsub"), settings)
    return process.run(lambda: _run(arguments.host, arguments.port, arguments.state_dir))


async def _run(host: str, port: int, directory: Path) -> int:
    logger.info("starting", host=host, port=port, state_dir=directory)
    try:
        await serve(host, port, directory, process.stop_event())
    except (InUse, OSError) as error:
        sys.stderr.write(f"pubsub: {error}\n")
        return 1
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
