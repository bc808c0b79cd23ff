"""Takes pictures of the console in every state: `python -m tests.support.console_states FOLDER`.

Each state is brought about on a real fleet, and taken when the page names it, at four widths, light
and dark: FOLDER/STATE-WIDTH-SCHEME.png. Takes some minutes.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from ops.rig import full_disk
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.browser import BrowserPage
from tests.support.screenshots import console, customers, find
from tests.support.stream import delete, insert, transaction

SIZES = {320: 568, 390: 844, 700: 900, 1280: 900}
"""Widths and heights of a window, in CSS pixels."""
MOST_HEIGHT = 3_000
PATIENCE_SECONDS = 180.0
HALTING = 5_000
"""Rejections: each worker halts after 1,000 without anything applied."""
SERVICES = "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST"


class Scene(NamedTuple):
    """A fleet, its console in a browser, a client, and where pictures go."""

    fleet: DisposableFleet
    page: BrowserPage
    client: aiohttp.ClientSession
    folder: Path

    async def take(self, state: str, shown: str) -> None:
        """Take the pictures when the page has `shown` in it."""
        text = "document.querySelector('main').innerText"
        await self.page.until(f"{text}.includes({json.dumps(shown)})", PATIENCE_SECONDS)
        for width, height in SIZES.items():
            await self.page.resize(width, height)
            for scheme in ("light", "dark"):
                await self.page.prefer(scheme)
                file = self.folder / f"{state}-{width}-{scheme}.png"
                await self.page.picture(file, MOST_HEIGHT)
        print(state)  # noqa: T201  # progress

    def post(self, *activities: dict[str, Any]) -> Any:
        return self.fleet.post(transaction(*activities))

    def pid(self, name: str) -> int:
        (pid,) = (each.pid for each in self.fleet.states() if each.name == name)
        return pid

    async def call(self, method: str, process: str) -> None:
        """Have supervisord start or stop a process, and wait until it has."""
        await asyncio.to_thread(self.fleet.supervisord.call, f"supervisor.{method}", process)


async def empty(scene: Scene) -> None:
    await scene.take("empty", "All is well")


async def load(scene: Scene) -> None:
    async with customers(scene.client):
        await asyncio.sleep(30)  # for something in the charts
        await scene.take("load", "All is well")


async def rejected(scene: Scene) -> None:
    id_ = scene.post(delete("refunds", n=0))[1]["id"]
    await find(scene.page, id_)
    await scene.take("rejected", "replay or discard it")


async def worker_dead(scene: Scene) -> None:
    await scene.call("stopProcess", "worker:worker_00")
    await scene.take("worker-dead", "worker_00 is stopped")
    await scene.call("startProcess", "worker:worker_00")


async def worker_hung(scene: Scene) -> None:
    pid = scene.pid("worker_01")
    os.kill(pid, signal.SIGSTOP)
    try:
        await scene.take("worker-hung", "worker_01 has been silent")
    finally:
        os.kill(pid, signal.SIGCONT)


async def pubsub_away(scene: Scene) -> None:
    await scene.call("stopProcess", "pubsub")
    await asyncio.gather(*(asyncio.to_thread(scene.post, insert("orders", n=n)) for n in range(9)))
    await scene.take("pubsub-away", "wait on the servers' disks")
    await scene.call("startProcess", "pubsub")
    await scene.page.until(
        "document.querySelector('main').innerText.includes('All is well')", PATIENCE_SECONDS
    )


async def disk_full(scene: Scene) -> None:
    servers = [scene.pid(name) for name in ("server_00", "server_01")]
    await scene.call("stopProcess", "pubsub")
    filling = asyncio.create_task(full_disk.fill(servers, PATIENCE_SECONDS))
    async with customers(scene.client, 1):
        await scene.take("disk-full", "get 503")
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    await scene.call("startProcess", "pubsub")


async def halted(scene: Scene) -> None:
    lines = (json.dumps(transaction(delete(f"gone_{n % 40}", n=n))) for n in range(HALTING))
    headers = {"Content-Type": "application/x-ndjson"}
    body = "\n".join(lines).encode()
    async with scene.client.post("/api/activities/batch", data=body, headers=headers) as answer:
        await answer.read()
    await scene.take("halted", "gatekeeper resume")


async def two_machines(scene: Scene) -> None:
    addresses: dict[str, Any] = {name: scene.fleet.variables[name] for name in SERVICES}
    with tempfile.TemporaryDirectory() as folder:
        second = DisposableFleet(
            Path(folder), INSTANCE="work-2", SERVERS="0", WORKERS="2", LOCAL="0", **addresses
        )
        try:
            await asyncio.to_thread(second.up)
            await scene.take("two-machines", "work-2")
            second.lose()
            await scene.take("machine-dead", "work-2:worker_00 has been silent")
        finally:
            second.kill()


STATES = (
    *(empty, load, rejected, worker_dead, worker_hung, pubsub_away, disk_full),
    *(two_machines, halted),
)


async def _take_all(fleet: DisposableFleet, folder: Path) -> None:
    async with console(fleet, 1280) as (page, client):
        scene = Scene(fleet, page, client, folder)
        for state in STATES:
            await state(scene)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        fleet = DisposableFleet(Path(state), METRICS_PUSH_SECONDS="2", INSTANCE="web-1")
        try:
            fleet.up()
            asyncio.run(_take_all(fleet, folder))
        finally:
            fleet.kill()


if __name__ == "__main__":
    main()
