import socket

import pytest

from ops.runtime import addresses


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:8085", ("127.0.0.1", 8085)),
        ("[::1]:8085", ("::1", 8085)),
        ("bigquery:9050", ("bigquery", 9050)),
    ],
)
def test_an_address_is_split_and_joined(address: str, parts: tuple[str, int]) -> None:
    assert addresses.split(address) == parts
    assert addresses.join(*parts) == address


@pytest.mark.parametrize(
    ("address", "reachable"),
    [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("[::1]:8080", "[::1]:8080"),
        ("10.0.0.7:8080", "10.0.0.7:8080"),
    ],
)
def test_a_server_on_every_address_is_reached_over_loopback(address: str, reachable: str) -> None:
    assert addresses.reachable(address) == reachable


def test_the_family_of_a_host() -> None:
    assert addresses.family("::1") == socket.AF_INET6
    assert addresses.family("127.0.0.1") == socket.AF_INET
    assert addresses.family("localhost") == socket.AF_INET
