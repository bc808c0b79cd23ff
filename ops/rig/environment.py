"""A benchmark's surroundings: a folder, ports and services of its own, all gone when it ends."""

import asyncio
import contextlib
import socket
import tempfile
import urllib.request
from collections.abc import Collection, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

from ops.commands.provision import dataset as provision_warehouse
from ops.commands.provision import subscriptions as provision_pubsub
from ops.fleet.ports import free_ports
from ops.rig import backlog_reader as waiting
from ops.rig.processes import Process, RunFailed
from ops.runtime.settings import RULES, Settings
from server import listen

START_SECONDS = 60.0
"""For a process to begin."""


class Served(NamedTuple):
    """A server's process and the address that it serves at."""

    process: Process
    address: str


class Stand:
    """`with Stand() as stand:`, then start on it what the benchmark needs.

    Nothing of the environment or of `.env` reaches its processes, so no project in the cloud is
    ever touched. Everything started ends with the block, the last first.
    """

    def __init__(self, **settings: str) -> None:
        self._exits = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="gatekeeper-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._exits.enter_context(folder))
        pubsub, warehouse, gateway = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.variables = {
            **dict.fromkeys(RULES, ""),
            "STATE_DIR": str(self.folder / "state"),
            "PUBSUB_EMULATOR_HOST": pubsub,
            "BIGQUERY_EMULATOR_HOST": warehouse,
            "PUSHGATEWAY_PROMETHEUS_HOST": gateway,
            "METRICS_PUSH_SECONDS": "300",
            **settings,
        }
        self.settings = Settings.load(self.variables, dotenv=self.folder / "no.env")
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        self._exits.__exit__(kind, error, trace)

    def check(self) -> None:
        """Raise RunFailed when a process that should still run has ended."""
        for process in self._processes:
            process.check()

    def process(
        self,
        name: str,
        *arguments: str,
        cores: Collection[int] = (),
        listener: socket.socket | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Process:
        """Return a process of the stand's surroundings: a context manager, not started yet."""
        return Process(
            self.folder,
            name,
            "ops.fleet.entrypoint",
            *arguments,
            variables={**self.variables, "SUPERVISOR_PROCESS_NAME": name, **settings},
            cores=cores,
            listener=listener,
        )

    def keep(self, process: Process) -> Process:
        """Start a process for as long as the stand lasts."""
        self._exits.enter_context(process)
        self._processes.append(process)
        return process

    def pubsub(self, cores: Collection[int] = ()) -> Process:
        """Start the embedded Pub/Sub, provisioned."""
        started = self.keep(self.process("pubsub", "ops.local.pubsub", cores=cores))
        started.wait_for_port(self.variables["PUBSUB_EMULATOR_HOST"])
        asyncio.run(provision_pubsub.ensure(self.settings))
        return started

    def bigquery(self, cores: Collection[int] = ()) -> Process:
        """Start the embedded BigQuery, provisioned."""
        started = self.keep(self.process("bigquery", "ops.local.bigquery", cores=cores))
        started.wait_for_port(self.variables["BIGQUERY_EMULATOR_HOST"])
        provision_warehouse.ensure(self.settings, None)
        return started

    def stand_in(self, seconds: float, cores: Collection[int] = ()) -> Process:
        """Start the stand-in for BigQuery, whose jobs take so long."""
        address = self.variables["BIGQUERY_EMULATOR_HOST"]
        words = ("ops.rig.fake_bigquery", address, "--seconds", str(seconds))
        started = self.keep(self.process("stand_in", *words, cores=cores))
        started.wait_for_port(address)
        return started

    def pushgateway(self, cores: Collection[int] = ()) -> Process:
        """Start the embedded Pushgateway."""
        started = self.keep(self.process("pushgateway", "ops.local.pushgateway", cores=cores))
        started.wait_for_port(self.variables["PUSHGATEWAY_PROMETHEUS_HOST"])
        return started

    def server(self, name: str, *arguments: str, cores: Collection[int] = ()) -> Served:
        """Start a server, or what stands in for one, on a listening socket of its own."""
        with listen.opened("127.0.0.1", 0) as listener:
            host, port = listener.getsockname()[:2]
            words = arguments or ("server",)
            started = self.process(name, *words, cores=cores, listener=listener)
            served = Served(self.keep(started), f"{host}:{port}")
        self._wait_for_answer(served)
        return served

    def _wait_for_answer(self, served: Served) -> None:
        """Wait for any answer at all: the socket is open before anyone serves it."""
        connection = HTTPConnection(served.address, timeout=START_SECONDS)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse()
        except OSError:
            served.process.check()
            raise RunFailed(f"{served.process.name} does not answer") from None
        finally:
            connection.close()

    def worker(
        self,
        name: str,
        cores: Collection[int] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Process:
        """Return a worker that is not started yet; `settings` go over the stand's."""
        return self.process(name, "workers", cores=cores, settings=settings)

    def pushed(self, metric: str) -> float:
        """Return a metric's sum over all that was pushed to the Pushgateway; 0 without any."""
        url = f"http://{self.settings.pushgateway_prometheus_host}/metrics"
        with urllib.request.urlopen(url, timeout=waiting.PATIENCE_SECONDS) as page:
            families = text_string_to_metric_families(page.read().decode())
            return sum(s.value for each in families for s in each.samples if s.name == metric)

    def backlog(self) -> int:
        """Return how many messages are not acknowledged yet."""
        return waiting.count(self.settings)

    def purge(self) -> None:
        """Settle whatever is in the subscription, without a worker."""
        waiting.purge(self.settings)

    def feed(self, count: int, *options: str, cores: Collection[int] = ()) -> None:
        """Publish so many transactions of two activities, past the server."""
        words = ("ops.bench.feed", str(count), *options)
        with self.process("feed", *words, cores=cores) as feeding:
            status = feeding.opened.wait(waiting.PATIENCE_SECONDS + count / 500)
            if status:
                raise RunFailed(f"feeding failed:\n{feeding.end_of_log()}")
