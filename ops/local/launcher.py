"""The start of a local service: only in local mode, with one line of error if its port is taken."""

import socket
from collections.abc import Callable

from ops.runtime import addresses, log, process
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error, write_line


def launch(
    title: str, name: str, address_setting: str, run: Callable[[Settings, socket.socket], int]
) -> int:
    """Bind the setting's address and call `run` with it; return the process's exit status.

    `name` is the process's name in its log. The socket is bound and does not listen yet.
    """
    settings = process.settings_or_exit()
    if not settings.local:
        write_line(
            f"{title} is not needed: {'PROJECT_ID is set' if settings.cloud else 'LOCAL is 0'}"
        )
        return 0
    log.setup(process.name(name, settings), settings)
    address = str(getattr(settings, address_setting.lower()))
    try:
        listener = _bind(address)
    except OSError as error:
        reason = f"{title} cannot listen on {address} ({address_setting}): {error.strerror}"
        write_error(reason)
        return 1
    return run(settings, listener)


def _bind(address: str) -> socket.socket:
    host, port = addresses.split(address)
    listener = socket.socket(addresses.family(host))
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
