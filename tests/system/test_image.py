"""The image, built from the Containerfile and run: its size, contents, work and drain.

`pytest -rP tests/system/test_image.py` prints the figures in docs/deploy.md.
"""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.fleet.container_config import STATE
from ops.rig import eventually, free_port, wait_until
from ops.rig.environment import Environment
from ops.runtime import clients, direct_http
from ops.runtime.bigquery import query
from tests.support import image_builder
from tests.support.image_builder import USER, Container, ImageBuilder
from tests.support.stream import insert, transaction

pytestmark = [
    pytest.mark.skipif(bool(image_builder.missing()), reason=image_builder.missing()),
    pytest.mark.timeout(3_600),  # the base and the image are made first
]

MOST_BYTES = 300_000_000
COMPILERS = ("cc", "gcc", "g++", "clang", "ld", "make")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageBuilder]:
    builder = ImageBuilder(tmp_path_factory.mktemp("image"))
    try:
        builder.build()
        yield builder
    finally:
        builder.close()


@pytest.fixture
def services() -> Iterator[Environment]:
    """The embedded services, which the containers use as they would Google's."""
    with Environment(METRICS_PUSH_SECONDS="0.5", LEASE_SECONDS="10") as running:
        running.pubsub()
        running.bigquery()
        running.pushgateway()
        yield running


def settings(services: Environment, instance: str, **more: str) -> dict[str, str]:
    found = services.settings
    return {
        "PROJECT_ID": found.project_id,
        "DATASET_ID": found.dataset_id,
        "TOPIC_ID": found.topic_id,
        "SUBSCRIPTION_ID": found.subscription_id,
        **{
            name: services.variables[name]
            for name in (
                "PUBSUB_EMULATOR_HOST",
                "BIGQUERY_EMULATOR_HOST",
                "PUSHGATEWAY_PROMETHEUS_HOST",
                "METRICS_PUSH_SECONDS",
                "LEASE_SECONDS",
            )
        },
        "FRESHNESS_SECONDS": "0.5",
        "ALLOW_ANONYMOUS": "1",
        "INSTANCE": instance,
        **more,
    }


def state_folder(folder: Path) -> Path:
    """Return the folder of a container's volume."""
    state = folder / "state"
    state.mkdir()
    os.chown(state, USER, USER)
    return state


def is_ready(container: Container, port: int) -> bool:
    container.check()
    try:
        with direct_http.open_url(f"http://127.0.0.1:{port}/readyz", 5):
            return True
    except OSError:
        return False


def post(port: int, table: str, number: int) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/activities",
        data=json.dumps(transaction(insert(table, n=number))).encode(),
        headers={"Content-Type": "application/json"},
    )
    with direct_http.open_url(request, 60) as answer:
        return int(answer.status)


def show(**figures: float) -> None:
    print({name: round(figure, 1) for name, figure in figures.items()})  # noqa: T201  # for -rP


async def seconds_until_ready(container: Container, port: int) -> float:
    started = time.monotonic()
    await eventually(lambda: is_ready(container, port), 240, "the container is ready")
    return time.monotonic() - started


def seconds_to_drain(container: Container) -> float:
    started = time.monotonic()
    assert container.drain() == 0, container.output
    return time.monotonic() - started


def applied_by(services: Environment) -> list[str]:
    """Return the ledger's worker of each applied transaction."""
    client = clients.warehouse(services.settings)
    try:
        sql = "SELECT worker FROM gatekeeper_ledger WHERE state = 'applied'"
        rows = query(client, sql, timeout=60, default_dataset=services.settings.dataset_path)
        return [row["worker"] for row in rows]
    finally:
        client.close()


def test_it_is_small_and_has_no_compiler_no_tests_and_no_pip(image: ImageBuilder) -> None:
    root = image.mount()
    files = [each for each in root.rglob("*") if each.is_file() and not each.is_symlink()]
    total = sum(file.stat().st_size for file in files)
    show(megabytes=total / 1e6)
    assert total <= MOST_BYTES
    names = {file.name for file in files if os.access(file, os.X_OK)}
    assert names.isdisjoint(COMPILERS)
    packages = {each.name for each in (root / "opt/gatekeeper").glob("lib/*/site-packages/*")}
    assert {"server", "workers", "supervisor"} <= packages
    assert packages.isdisjoint({"tests", "pytest", "hypothesis", "pip", "duckdb"})


def test_its_user_can_write_nothing_but_the_volume(image: ImageBuilder) -> None:
    root = image.mount()
    volume = root / STATE.relative_to("/")
    writable = [
        each
        for each in root.rglob("*")
        if not each.is_symlink()
        and volume not in (each, *each.parents)
        and (each.stat().st_uid == USER or each.stat().st_mode & 0o002)
    ]
    # The kernel's and the runtime's file systems lie over these.
    shared = {root / name for name in ("tmp", "var/tmp", "run/lock")}
    assert [
        each for each in writable if each not in shared and root / "dev" not in each.parents
    ] == []


async def test_a_server_and_two_workers_work_one_is_killed_and_the_others_drain(
    image: ImageBuilder, services: Environment, tmp_path: Path
) -> None:
    port = free_port()
    state = {state_folder(tmp_path): str(STATE)}
    server = image.container(("server",), settings(services, "web-1", PORT=str(port)), state)
    first, second = (
        image.container(("worker",), settings(services, name), {}) for name in ("work-1", "work-2")
    )
    posted = 0

    def both_apply() -> bool:
        nonlocal posted
        assert post(port, f"contained_{posted % 16}", posted) == 200  # lanes of both workers
        posted += 1
        return {each.partition(":")[0] for each in applied_by(services)} == {"work-1", "work-2"}

    with server, first, second:
        ready = await seconds_until_ready(server, port)
        assert server.first_process.uids().real == USER
        await eventually(both_apply, 240, "both workers apply transactions")
        first.first_process.send_signal(signal.SIGKILL)
        assert first.wait() != 0
        for number in range(posted, posted + 16):
            assert post(port, f"contained_{number % 16}", number) == 200
        posted += 16
        await eventually(lambda: len(applied_by(services)) >= posted, 240, "all is applied")
        drains = {
            "server_drains": seconds_to_drain(server),
            "worker_drains": seconds_to_drain(second),
        }
    assert len(applied_by(services)) == posted
    show(server_ready=ready, **drains)
    assert "worker_stopped" in second.output
    # A process that ends deletes its metrics; nobody deletes those of a container that was killed.
    wait_until(lambda: {each.machine for each in services.pushed()} == {"work-1"})


async def test_the_fleet_runs_in_the_foreground_logs_to_standard_output_and_drains(
    image: ImageBuilder, services: Environment, tmp_path: Path
) -> None:
    port = free_port()
    conf = tmp_path / "supervisord.conf"
    text = (image.mount() / "etc/gatekeeper/supervisord.conf").read_text()
    conf.write_text(text.replace("0.0.0.0:8080", f"127.0.0.1:{port}"))
    conf.chmod(0o644)
    volumes = {
        state_folder(tmp_path): str(STATE),
        conf: "/etc/gatekeeper/supervisord.conf:ro",
    }
    fleet = image.container((), settings(services, "box-1", SERVERS="1", WORKERS="1"), volumes)
    with fleet:
        ready = await seconds_until_ready(fleet, port)
        assert post(port, "boxed", 1) == 200
        await eventually(lambda: applied_by(services) == ["box-1:worker_00"], 180)
        show(fleet_ready=ready, fleet_drains=seconds_to_drain(fleet))
    actions = [json.loads(x)["action"] for x in fleet.output.splitlines() if '"action"' in x]
    assert {"worker_started", "worker_stopped"} <= set(actions)
    wait_until(lambda: services.pushed() == [], what="nobody pushes any more")
