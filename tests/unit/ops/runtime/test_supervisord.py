"""The client of supervisord, where supervisord dies on it."""

import socket
import tempfile
import threading
from pathlib import Path

import pytest

from ops.runtime.supervisord import Supervisord, SupervisordUnreachable

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        _HEAD,
        _HEAD + b"<?xml version='1.0'?><methodResponse><params><param><value><array>",
    ],
    ids=["nothing", "no body", "half a body"],
)
def test_an_answer_that_breaks_off_is_no_answer(answer: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = Path(folder) / "s.sock"  # short: a socket's path has some 100 characters
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(30)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        dying = threading.Thread(target=serve)
        dying.start()
        with pytest.raises(SupervisordUnreachable):
            Supervisord(path).call("supervisor.getAllProcessInfo")
        dying.join()
