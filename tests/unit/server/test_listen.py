import socket
import subprocess
import sys

import pytest

from server import listen

ASK = "from server import listen; got = listen.inherited(); print(got and got.getsockname())"


def inherited_by_a_child(stdin: int) -> str:
    child = [sys.executable, "-c", ASK]
    return subprocess.run(child, stdin=stdin, capture_output=True, text=True, check=True).stdout


def test_a_listening_socket_as_fd_0_is_taken_over() -> None:
    with listen.opened("127.0.0.1", 0) as listener:
        assert str(listener.getsockname()) in inherited_by_a_child(listener.fileno())


def test_another_fd_0_is_left_alone() -> None:
    assert inherited_by_a_child(subprocess.DEVNULL).strip() == "None"
    one, other = socket.socketpair()
    with one, other:
        assert inherited_by_a_child(one.fileno()).strip() == "None"


def test_a_taken_port_is_named() -> None:
    with listen.opened("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(listen.CannotListen, match=f"port {port} of 127.0.0.1: Address already"):
            listen.opened("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(listen.CannotListen, match=r"of 192\.0\.2\.1"):
        listen.opened("192.0.2.1", 8080)
