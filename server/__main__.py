"""A server process: `python -m server`."""

import argparse
import socket
import sys

from aiohttp import web

from ops.runtime import log, process
from ops.runtime.api_keys import InvalidKeys
from ops.runtime.settings import Settings
from server import exposure, listen, reload
from server.app import create_app
from server.lifecycle import serve

_HELP = """\
Takes transactions over HTTP and hands those that meet the rule to Pub/Sub.

  POST /api/activities            check, publish, answer the verdict
  POST /api/activities/validate   the same verdict; nothing is published
  POST /api/activities/batch      NDJSON, a transaction a line; a verdict for each
  GET  /api/activities/{id}       how a transaction was settled
  GET  /openapi.json              the API in OpenAPI
  GET  /healthz  /readyz          alive; a publish would succeed now

It listens on the socket that it finds as standard input, as supervisord passes it, else at
HOST:PORT. Settings come from the environment and from .env in the working directory; wrong ones
end it with status 78 and the list of all faults, a taken port with status 1. SIGTERM drains it.
"""


async def main(settings: Settings, app: web.Application, listener: socket.socket) -> int:
    """Serve until SIGTERM."""
    log.setup(process.name("server"), settings)
    await serve(app, listener, process.stop_event())
    return 0


def run() -> int:
    """Read the command line, take the socket, serve; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="for development: start anew when a source file changes",
    )
    arguments = parser.parse_args()
    settings = process.settings_or_exit()
    try:
        listener = listen.inherited() or listen.opened(settings.host, settings.port)
        exposure.check(settings, listener)
        app = create_app(settings)
    except listen.CannotListen as error:
        sys.stderr.write(f"server: {error}\n")
        return 1
    except (exposure.Exposed, InvalidKeys) as error:
        sys.stderr.write(f"server: {error}\n")
        return process.EXIT_SETTINGS
    if arguments.reload:
        return reload.run(listener)
    return process.run(lambda: main(settings, app, listener))


if __name__ == "__main__":
    sys.exit(run())
