"""For development: serves, and serves anew whenever a source file changes.

The socket is opened here and passed to each server in turn, so no request meets a closed port.
"""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from types import FrameType

from watchfiles import PythonFilter, watch

ROOT = Path(__file__).resolve().parents[1]
WATCHED = ("server", "schema", "ops/runtime")
_LEAVE_SECONDS = 15.0


def run(listener: socket.socket) -> int:
    """Run servers on this socket until SIGTERM or SIGINT; return the exit status."""
    stop = Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server = _start(listener)
    paths = [ROOT / name for name in WATCHED]
    for changes in watch(
        *paths,
        watch_filter=PythonFilter(),
        stop_event=stop,
        rust_timeout=500,
        raise_interrupt=False,
    ):
        names = sorted({str(Path(path).relative_to(ROOT)) for _, path in changes})
        sys.stderr.write(f"gatekeeper: {', '.join(names)} changed: a new server takes over\n")
        old, server = server, _start(listener)
        Thread(target=_end, args=(old,)).start()
    _end(server)
    return 0


def _start(listener: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "server"], stdin=listener.fileno())


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
