"""A normal client in its own process: posts a transaction, asks /healthz, and times both.

`python -m tests.support.normal_client URL` prints its times as JSON when its standard input ends.
"""

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.server_in_process import VALID

PAUSE_SECONDS = 0.02


class ClientTimes(NamedTuple):
    """99th percentiles in seconds; `refused` are answers other than 200."""

    post: float = 0.0
    healthz: float = 0.0
    requests: int = 0
    refused: int = 0


def measure(url: str, stop: threading.Event) -> ClientTimes:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    times: dict[str, list[float]] = {"POST": [], "GET": []}
    refused = 0
    while not stop.is_set():
        for method, path, body in (
            ("POST", "/api/activities/validate", VALID),
            ("GET", "/healthz", None),
        ):
            began = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            times[method].append(time.perf_counter() - began)
            refused += answer.status != 200
            time.sleep(PAUSE_SECONDS)
    return ClientTimes(
        _p99(times["POST"]), _p99(times["GET"]), len(times["POST"]) + len(times["GET"]), refused
    )


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) > 1 else sum(seconds)


class RunningClient:
    times = ClientTimes()
    """Set when the block has ended."""


@contextlib.contextmanager
def normal_client(url: str) -> Iterator[RunningClient]:
    """Run a normal client for the length of the block."""
    command = [sys.executable, "-m", "tests.support.normal_client", url]
    running = RunningClient()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield running
        finally:
            output, _ = process.communicate(timeout=60)
        running.times = ClientTimes(**json.loads(output))


def main() -> None:
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    sys.stdout.write(json.dumps(measure(sys.argv[1], stop)._asdict()))


if __name__ == "__main__":
    main()
