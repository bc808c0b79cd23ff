import os
import socket

from ops.fleet.ports import free, free_ports, listening, owner


def test_a_port_that_a_process_listens_on_is_not_free_and_has_an_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not free("127.0.0.1", port)
        assert listening(f"127.0.0.1:{port}")
        assert owner(port).startswith(f"process {os.getpid()} (")
    assert free("127.0.0.1", port)
    assert not listening(f"127.0.0.1:{port}")


def test_a_port_on_ipv6_has_an_owner() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert owner(server.getsockname()[1]).startswith(f"process {os.getpid()} (")


def test_a_port_whose_owner_is_not_visible_has_no_name() -> None:
    assert owner(free_ports(1)[0]) == "another process"


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
