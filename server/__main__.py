"""A server process: `python -m server`."""

import argparse
import socket
import sys

from aiohttp import web

from ops.runtime import log, process
from ops.runtime.api_keys import InvalidKeys
from ops.runtime.terminal import write_error
from ops.runtime.tracing import exporting_traces
from schema.contracts import InvalidContracts
from server import lifecycle
from server.app import create_app

_HELP = """\
Takes transactions over HTTP, validates them and publishes the valid ones to Pub/Sub.

  POST /api/activities            validate, publish, answer the verdict
  POST /api/activities/validate   the same verdict; nothing is published
  POST /api/activities/batch      NDJSON, a transaction a line; a verdict for each
  GET  /api/activities/{id}       whether a transaction was applied or rejected
  GET  /openapi.json              the API in OpenAPI
  GET  /healthz  /readyz          alive; a publish would succeed now

It serves on the socket that supervisord passes as standard input, or else listens on HOST:PORT.
Settings come from the environment and from .env in the working directory. Exit status 78: wrong
settings, all of them listed, or contracts with faults; 1: the port is taken. SIGTERM drains it.
"""


async def main(app: web.Application, listener: socket.socket) -> int:
    """Serve until SIGTERM."""
    await lifecycle.serve(app, listener, process.stop_event())
    return 0


def run() -> int:
    """Return the exit status."""
    argparse.ArgumentParser(
        prog="python -m server",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    settings = process.settings_or_exit()
    log.setup(process.name("server", settings), settings)
    try:
        listener = lifecycle.inherited_listener()
        listener = listener or lifecycle.open_listener(settings.host, settings.port)
        lifecycle.check_exposure(settings, listener)
        app = create_app(settings)
    except lifecycle.CannotListen as error:
        write_error(f"server: {error}")
        return 1
    except (lifecycle.Exposed, InvalidKeys, InvalidContracts) as error:
        write_error(f"server: {error}", keep="\n")
        return process.EXIT_SETTINGS
    with exporting_traces(process.name("server", settings), settings):
        return process.run(lambda: main(app, listener))


if __name__ == "__main__":
    sys.exit(run())
