"""A server process as supervisord runs it: the listening socket as fd 0, the services around it."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ops.fleet.config import ROOT
from ops.fleet.ports import free_ports
from ops.rig import Service
from ops.runtime.settings import DECLARATIONS
from server import lifecycle
from tests.support.server_in_process import NOWHERE

LIMIT = 100_000
"""MAX_BODY_BYTES of the tests that need a small one."""

JSON = {"Content-Type": "application/json"}


class Server(Service):
    """`python -m ops.fleet.entrypoint server` on a socket that is already open."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._listener = lifecycle.open_listener("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "ops.fleet.entrypoint", "server"]
        environ = {**os.environ, **dict.fromkeys(DECLARATIONS, ""), **variables}
        super().__init__(command, environ=environ, stdin=self._listener.fileno())

    def ready(self) -> None:
        """Return when it serves: the socket is open already, so the question waits."""
        status, _, _ = self.ask("/healthz")
        assert status == 200, self.output

    def close(self) -> None:
        """Close the socket, after the process has ended."""
        self._listener.close()

    def rss(self) -> int:
        """Return the memory that the process has in use, in bytes."""
        text = Path(f"/proc/{self.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = JSON,
        method: str | None = None,
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Return an answer's status, its JSON and its headers; POST when there is a body."""
        request = urllib.request.Request(self.url + path, body, dict(headers), method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, json.load(answer), answer.headers


@contextlib.contextmanager
def serving(variables: Mapping[str, str]) -> Iterator[Server]:
    """Run a server for the length of the block."""
    server = Server(variables)
    try:
        with server:
            server.ready()
            yield server
    finally:
        server.close()


@contextlib.contextmanager
def services(folder: Path) -> Iterator[dict[str, str]]:
    """Run the embedded Pub/Sub and BigQuery, provisioned; yield the settings that lead there."""
    pubsub, warehouse = (f"127.0.0.1:{port}" for port in free_ports(2))
    variables = {
        **dict.fromkeys(DECLARATIONS, ""),
        "STATE_DIR": str(folder),
        "CONTRACTS_DIR": str(folder / "contracts"),
        "PUBSUB_EMULATOR_HOST": pubsub,
        "BIGQUERY_EMULATOR_HOST": warehouse,
        "PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE,
        "METRICS_PUSH_SECONDS": "300",
        "LANES": "4",  # each has two tables to make
    }
    with (
        Service.module("ops.local.pubsub", **variables) as first,
        Service.module("ops.local.bigquery", **variables) as second,
    ):
        first.wait_for_port(pubsub)
        second.wait_for_port(warehouse)
        subprocess.run(
            [sys.executable, "-m", "ops.commands", "provision", "--wait", "60"],
            cwd=ROOT,
            env={**os.environ, **variables},
            check=True,
            capture_output=True,
        )
        yield variables
