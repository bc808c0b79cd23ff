"""A private network on this machine: a bridge, and network namespaces that reach only it.

The host's own address on the bridge is `host`. Nothing of it reaches any other network.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from types import TracebackType
from typing import Any, Self


class NamespacesUnavailable(Exception):
    """Network namespaces cannot be made here; the text has the reason."""


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise NamespacesUnavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class PrivateNetwork:
    """`with PrivateNetwork() as network:`; the block's end removes it, processes in it stay.

    Raises NamespacesUnavailable without root, without iproute2, and where the kernel refuses.
    """

    def __init__(self) -> None:
        self._name = f"gk{os.getpid()}"  # a device's name has 15 characters at most
        self._net = ""
        self._members: list[str] = []

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise NamespacesUnavailable("network namespaces need root")
        if shutil.which("ip") is None:
            raise NamespacesUnavailable("ip (iproute2) is not installed")
        self._net = _free_net()
        try:
            _ip("link", "add", self._name, "type", "bridge")
            _ip("addr", "add", f"{self.host}/24", "dev", self._name)
            _ip("link", "set", self._name, "up")
            self.add("probe")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for number, name in enumerate(self._members):
            with contextlib.suppress(NamespacesUnavailable):
                _ip("link", "del", self._port(number))
            with contextlib.suppress(NamespacesUnavailable):
                _ip("netns", "del", name)
        with contextlib.suppress(NamespacesUnavailable):
            _ip("link", "del", self._name)

    @property
    def host(self) -> str:
        """The address of processes outside of the namespaces."""
        return f"{self._net}.1"

    def address(self, name: str) -> str:
        return f"{self._net}.{self._members.index(self._namespace(name)) + 10}"

    def within(self, name: str) -> tuple[str, ...]:
        """Return the words that run a command in a namespace."""
        return "ip", "netns", "exec", self._namespace(name)

    def add(self, name: str) -> None:
        """Make a namespace with its address."""
        self._members.append(self._namespace(name))
        port, inside = self._port(len(self._members) - 1), self.within(name)[1:]
        _ip("netns", "add", self._namespace(name))
        peer = ("peer", "name", "eth0", "netns", self._namespace(name))
        _ip("link", "add", port, "master", self._name, "type", "veth", *peer)
        _ip(*inside, "ip", "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip(*inside, "ip", "link", "set", device, "up")
        _ip("link", "set", port, "up")

    def cut(self, name: str) -> None:
        """Take a namespace off the network: what is sent to it or from it is lost."""
        _ip("link", "set", self._port_of(name), "down")

    def heal(self, name: str) -> None:
        _ip("link", "set", self._port_of(name), "up")

    def _namespace(self, name: str) -> str:
        return f"{self._name}-{name}"

    def _port_of(self, name: str) -> str:
        return self._port(self._members.index(self._namespace(name)))

    def _port(self, number: int) -> str:
        return f"{self._name}p{number}"


def _free_net() -> str:
    """Return a network that no device here has, of those for tests between networks: RFC 2544."""
    devices: list[dict[str, Any]] = json.loads(_ip("-json", "addr"))
    used = {each["local"].rpartition(".")[0] for one in devices for each in one["addr_info"]}
    nets = (f"198.18.{number}" for number in range(256))
    return next(itertools.filterfalse(used.__contains__, nets))
