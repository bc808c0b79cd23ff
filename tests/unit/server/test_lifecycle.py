import socket
import subprocess
import sys

import pytest

from ops.runtime.settings import Settings
from server import lifecycle

ASK = """
from server import lifecycle
got = lifecycle.inherited_listener()
print(got and got.getsockname())
"""


def inherited_by_a_child(stdin: int) -> str:
    child = [sys.executable, "-c", ASK]
    return subprocess.run(child, stdin=stdin, capture_output=True, text=True, check=True).stdout


def test_a_listening_socket_as_fd_0_is_taken_over() -> None:
    with lifecycle.open_listener("127.0.0.1", 0) as listener:
        assert str(listener.getsockname()) in inherited_by_a_child(listener.fileno())


def test_another_fd_0_is_left_alone() -> None:
    assert inherited_by_a_child(subprocess.DEVNULL).strip() == "None"
    one, other = socket.socketpair()
    with one, other:
        assert inherited_by_a_child(one.fileno()).strip() == "None"


def test_a_taken_port_is_named() -> None:
    with lifecycle.open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(lifecycle.CannotListen, match=f"{port} of 127.0.0.1: Address already"):
            lifecycle.open_listener("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(lifecycle.CannotListen, match=r"of 192\.0\.2\.1"):
        lifecycle.open_listener("192.0.2.1", 8080)


def test_other_machines_are_served_only_with_keys_or_on_purpose() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.create_server(("127.0.0.1", 0)) as here,
    ):
        lifecycle.check_exposure(Settings.parse({}), here)
        lifecycle.check_exposure(Settings.parse({"API_KEYS_FILE": "keys"}), everywhere)
        lifecycle.check_exposure(Settings.parse({"ALLOW_ANONYMOUS": "1"}), everywhere)
        with pytest.raises(lifecycle.Exposed, match="API_KEYS_FILE"):
            lifecycle.check_exposure(Settings.parse({"ALLOW_ANONYMOUS": "0"}), everywhere)
