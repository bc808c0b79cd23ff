"""The embedded services and single processes of Gatekeeper, with their own folder and ports.

No setting of this process's environment or of `.env` reaches them, so that no cloud project and no
other fleet of the machine is touched.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from google.api_core.exceptions import DeadlineExceeded

from ops.commands.provision import dataset, subscriptions
from ops.fleet.ports import free_ports
from ops.rig.processes import RunFailed, Service, wait_until
from ops.rig.strict_bigquery.documented_rules import Latency
from ops.runtime import backlog, clients
from ops.runtime.pushed_metrics import PushedGroup, read_pushed
from ops.runtime.settings import DECLARATIONS, Settings
from server import lifecycle

START_SECONDS = 60.0
"""How long a process may take to start."""
REQUEST_SECONDS = 10.0
"""How long a service may take to answer one request."""
PURGE_SECONDS = 120.0
_PULL_SECONDS = 2.0
_PULLED_MESSAGES = 1_000


class LocalServices:
    """The settings for embedded services in a folder, and what can be asked of these services."""

    def __init__(self, folder: Path, **settings: str) -> None:
        server, pubsub, bigquery, gateway = (f"127.0.0.1:{port}" for port in free_ports(4))
        self.folder = folder
        self.address = server
        self.variables = {
            **dict.fromkeys(DECLARATIONS, ""),
            "STATE_DIR": str(folder / "state"),
            "CONTRACTS_DIR": str(folder / "contracts"),
            "PUBSUB_EMULATOR_HOST": pubsub,
            "BIGQUERY_EMULATOR_HOST": bigquery,
            "PUSHGATEWAY_PROMETHEUS_HOST": gateway,
            **settings,
        }
        self.settings = Settings.load(self.variables, dotenv=folder / "no.env")

    def backlog(self) -> int:
        """Return how many messages are not acknowledged yet; raises RunFailed."""
        try:
            return backlog.read(self.settings, REQUEST_SECONDS).unacked
        except ConnectionError as error:
            raise RunFailed(str(error)) from error

    def wait_until_drained(
        self, seconds: float = 120.0, check: Callable[[], None] = lambda: None
    ) -> None:
        """Return when no message is left; raises RunFailed, or what `check` raises."""

        def empty() -> bool:
            check()
            return not self.backlog()

        wait_until(empty, seconds, "every message is acknowledged")

    def pushed(self, *names: str) -> list[PushedGroup]:
        """Return what each process last pushed of the metrics that begin with one of `names`."""
        return read_pushed(self.settings, names, REQUEST_SECONDS)

    def pushed_total(self, metric: str) -> float:
        """Return the sum of a metric over all processes; 0 when no process pushed it."""
        return sum(group.total(metric) for group in self.pushed(metric))

    def purge(self) -> None:
        """Acknowledge every message in the subscription, without a worker; raises RunFailed."""
        asyncio.run(self._purge())

    async def _purge(self) -> None:
        client = clients.subscriber(self.settings)
        subscription = {"subscription": self.settings.subscription_path}
        try:
            async with asyncio.timeout(PURGE_SECONDS):
                while await asyncio.to_thread(self.backlog):
                    with contextlib.suppress(DeadlineExceeded):  # all that is left is leased
                        request = {**subscription, "max_messages": _PULLED_MESSAGES}
                        pulled = await client.pull(request, timeout=_PULL_SECONDS)
                        ids = [message.ack_id for message in pulled.received_messages]
                        await client.acknowledge({**subscription, "ack_ids": ids})
        except TimeoutError:
            raise RunFailed(f"the subscription is not empty after {PURGE_SECONDS:g} s") from None
        finally:
            await clients.close(client)


class RunningServer(NamedTuple):
    """A server's process and the address that it serves at."""

    process: Service
    address: str


class Environment(LocalServices):
    """`with Environment() as environment:`; then start in it what is needed.

    Everything that was started ends with the block, the last first; the folder is removed.
    """

    def __init__(self, **settings: str) -> None:
        self._exits = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="gatekeeper-rig-", ignore_cleanup_errors=True)
        path = Path(self._exits.enter_context(folder))
        super().__init__(path, **{"METRICS_PUSH_SECONDS": "300", **settings})
        self.started: list[Service] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._exits.__exit__(*error)  # type: ignore[arg-type]  # passed on as given

    def check(self) -> None:
        """Raise RunFailed when a process that should still run has ended."""
        for process in self.started:
            process.check()

    def process(
        self,
        name: str,
        *words: str,
        cores: Collection[int] = (),
        listener: socket.socket | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Service:
        """Return a process that runs the module `words[0]`, not started yet: a context manager."""
        return Service(
            [sys.executable, "-m", "ops.fleet.entrypoint", *words],
            log=self.folder / f"{name}.log",
            cores=cores,
            stdin=listener.fileno() if listener else subprocess.DEVNULL,
            environ={**os.environ, **self.variables, "SUPERVISOR_PROCESS_NAME": name, **settings},
        )

    def start(self, process: Service, address: str = "") -> Service:
        """Start a process that runs until the block ends; wait until it listens at `address`."""
        self.started.append(self._exits.enter_context(process))
        if address:
            process.wait_for_port(address)
        return process

    def pubsub(self, cores: Collection[int] = ()) -> Service:
        """Start the embedded Pub/Sub and provision it."""
        process = self.process("pubsub", "ops.local.pubsub", cores=cores)
        self.start(process, self.variables["PUBSUB_EMULATOR_HOST"])
        asyncio.run(subscriptions.ensure(self.settings))
        return process

    def bigquery(self, cores: Collection[int] = ()) -> Service:
        """Start the embedded BigQuery and provision it."""
        process = self.process("bigquery", "ops.local.bigquery", cores=cores)
        self.start(process, self.variables["BIGQUERY_EMULATOR_HOST"])
        dataset.ensure(self.settings)
        return process

    def strict_bigquery(
        self, latency: Latency, *options: str, cores: Collection[int] = ()
    ) -> Service:
        """Start a strict BigQuery without storage; `options` are those of its `__main__`."""
        address = self.variables["BIGQUERY_EMULATOR_HOST"]
        job, statement = str(latency.job), str(latency.statement)
        seconds = ("--job-seconds", job, "--statement-seconds", statement)
        words = ("ops.rig.strict_bigquery", address, "--alone", *seconds, *options)
        return self.start(self.process("strict_bigquery", *words, cores=cores), address)

    def fake_bigquery(self, job_seconds: float, cores: Collection[int] = ()) -> Service:
        """Start a BigQuery without storage and without rules, whose jobs take `job_seconds`."""
        return self.strict_bigquery(Latency(job_seconds, 0.0), "--off", "all", cores=cores)

    def pushgateway(self, cores: Collection[int] = ()) -> Service:
        process = self.process("pushgateway", "ops.local.pushgateway", cores=cores)
        return self.start(process, self.variables["PUSHGATEWAY_PROMETHEUS_HOST"])

    def server(self, name: str, *words: str, cores: Collection[int] = ()) -> RunningServer:
        """Start a server, or the module `words[0]` in its place, on a listening socket."""
        with lifecycle.open_listener("127.0.0.1", 0) as listener:
            host, port = listener.getsockname()[:2]
            process = self.process(name, *words or ("server",), cores=cores, listener=listener)
            running = RunningServer(self.start(process), f"{host}:{port}")
        _wait_for_answer(running)
        return running

    def worker(
        self,
        name: str,
        cores: Collection[int] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Service:
        """Return a worker that is not started yet; `settings` override the environment's."""
        return self.process(name, "workers", cores=cores, settings=settings)


def _wait_for_answer(server: RunningServer) -> None:
    """Wait for any answer: the socket is open before the process accepts connections."""
    connection = HTTPConnection(server.address, timeout=START_SECONDS)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except OSError as error:
        server.process.check()
        raise RunFailed(f"the server at {server.address} does not answer: {error}") from error
    finally:
        connection.close()
