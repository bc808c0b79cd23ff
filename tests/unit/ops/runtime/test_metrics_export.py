import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from ops.rig import eventually, free_port
from ops.runtime import direct_http, metrics
from ops.runtime.metrics_export import exporting
from ops.runtime.metrics_files import join_families, metrics_folder
from ops.runtime.metrics_page import MAX_CONNECTIONS
from ops.runtime.pushed_metrics import read_pushed
from ops.runtime.settings import Settings

JOB, INSTANCE = "gatekeeper_worker", "web-1:worker_07"
GROUP = f"/metrics/job/{JOB}/instance/{INSTANCE}"
CLOUD = {"PROJECT_ID": "a-project", "DATASET_ID": "d", "TOPIC_ID": "ttt", "SUBSCRIPTION_ID": "sss"}
"""Without PUSHGATEWAY_PROMETHEUS_HOST."""


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    calls: list[tuple[str, str]] = []

    async def record(request: web.Request) -> web.Response:
        assert request.method == "DELETE" or b"valid_payload_count_total" in await request.read()
        calls.append((request.method, request.path))
        return web.Response(status=202 if request.method == "DELETE" else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    async with TestServer(app) as server:
        yield f"{server.host}:{server.port}", calls


def settings(folder: Path, **given: str) -> Settings:
    return Settings.parse({"METRICS_PUSH_SECONDS": "0.1", "STATE_DIR": str(folder), **given})


async def test_a_process_pushes_its_own_group_until_its_end_and_then_deletes_it(
    gateway: tuple[str, list[tuple[str, str]]], tmp_path: Path
) -> None:
    address, calls = gateway

    async with exporting(settings(tmp_path, PUSHGATEWAY_PROMETHEUS_HOST=address), JOB, INSTANCE):
        await eventually(lambda: len(calls) >= 3, 60)
        running = len(calls)

    assert len(calls) > running + 1  # a last push, with all that was counted
    assert set(calls[:-1]) == {("PUT", GROUP)}
    assert calls[-1] == ("DELETE", GROUP)
    assert not metrics_folder(settings(tmp_path)).exists(), "a page needs a file, a push does not"


async def test_a_dead_pushgateway_costs_a_count_and_nothing_else(tmp_path: Path) -> None:
    before = metrics.PUSH_FAILURES._value.get()
    nobody = f"127.0.0.1:{free_port()}"

    async with exporting(settings(tmp_path, PUSHGATEWAY_PROMETHEUS_HOST=nobody), JOB, INSTANCE):
        await asyncio.sleep(0)

    assert metrics.PUSH_FAILURES._value.get() > before


async def test_without_a_pushgateway_a_machine_reads_its_own_processes(tmp_path: Path) -> None:
    own = settings(tmp_path, **CLOUD)
    before = metrics.PUSH_FAILURES._value.get()
    metrics.PULLED.inc(3)

    async with exporting(own, JOB, INSTANCE):
        await eventually(lambda: read_pushed(own, ["gatekeeper_pulled"]), 60)
        (group,) = read_pushed(own, ["gatekeeper_pulled"])
        await eventually(lambda: read_pushed(own, [])[0].pushed_at > group.pushed_at, 60)

    assert (group.job, group.instance) == (JOB, INSTANCE)
    assert group.total("gatekeeper_pulled_total") == metrics.PULLED._value.get()
    assert 0 < group.started_at < time.time()
    assert metrics.PUSH_FAILURES._value.get() == before, "nothing is pushed, nothing complains"
    assert read_pushed(own, []) == []
    assert list(metrics_folder(own).iterdir()) == [], "a process that ends deletes its file"


PROCESS = """\
import asyncio, sys
from ops.runtime import metrics
from ops.runtime.metrics_export import exporting
from ops.runtime.settings import Settings

async def main():
    metrics.APPLIED.inc(int(sys.argv[2]))
    async with exporting(Settings.load(), "gatekeeper_worker", sys.argv[1]):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def start(own: Settings, instance: str, applied: int) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        **CLOUD,
        "PUSHGATEWAY_PROMETHEUS_HOST": "",
        "METRICS_PUSH_SECONDS": "0.1",
        "METRICS_PORT": str(own.metrics_port),
        "STATE_DIR": str(own.state_dir),
    }
    return subprocess.Popen([sys.executable, "-c", PROCESS, instance, str(applied)], env=environ)


def scrape(own: Settings) -> dict[str, float]:
    """Return what Prometheus would: the applied transactions by instance; {} without an answer."""
    url = f"http://127.0.0.1:{own.metrics_port}/metrics"
    try:
        with direct_http.open_url(url, 10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            families = list(text_string_to_metric_families(answer.read().decode()))
    except OSError:
        return {}
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "the samples of a family stand together"
    assert {"push_time_seconds", "process_start_time_seconds"} <= set(names)
    return {
        sample.labels["instance"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "gatekeeper_applied_total"
    }


async def test_one_page_has_all_processes_of_the_machine_whichever_of_them_is_killed(
    tmp_path: Path,
) -> None:
    own = settings(tmp_path, METRICS_PORT=str(free_port()), **CLOUD)
    processes = [start(own, f"m:worker_0{number}", number) for number in range(3)]
    try:
        every = {f"m:worker_0{number}": float(number) for number in range(3)}
        await eventually(lambda: scrape(own) == every, 60)
        for killed in processes[:2]:  # one of them, at least, may have served the page
            killed.kill()
            killed.wait()
        await eventually(lambda: scrape(own) == {"m:worker_02": 2.0}, 60)
        assert len(list(metrics_folder(own).glob("*.prom"))) == 1
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def test_clients_that_send_nothing_do_not_hold_the_page_up(tmp_path: Path) -> None:
    own = settings(tmp_path, METRICS_PORT=str(free_port()), **CLOUD)
    async with exporting(own, JOB, INSTANCE):
        await eventually(lambda: asyncio.to_thread(scrape, own), 60)
        silent = [
            await asyncio.open_connection("127.0.0.1", own.metrics_port)
            for _ in range(MAX_CONNECTIONS * 2)
        ]
        # Those beyond the bound are closed, the others after a few seconds.
        await asyncio.gather(*(reader.read() for reader, _ in silent))
        assert await asyncio.to_thread(scrape, own)
        for _, writer in silent:
            writer.close()


async def test_a_port_of_another_program_is_counted_and_the_rest_works(tmp_path: Path) -> None:
    async with TestServer(web.Application()) as other:
        own = settings(tmp_path, METRICS_PORT=str(other.port), **CLOUD)
        before = metrics.PUSH_FAILURES._value.get()
        async with exporting(own, JOB, INSTANCE):
            await eventually(lambda: metrics.PUSH_FAILURES._value.get() > before, 60)
            assert read_pushed(own, [])[0].instance == INSTANCE


def test_a_file_of_a_process_whose_number_another_has_now_is_deleted(tmp_path: Path) -> None:
    own = settings(tmp_path, **CLOUD)
    folder = metrics_folder(own)
    folder.mkdir()
    file = folder / f"m:worker_00.{os.getpid()}.prom"
    family = "# HELP push_time_seconds x\n# TYPE push_time_seconds gauge\n"
    file.write_text(f'{family}push_time_seconds{{instance="{INSTANCE}",job="{JOB}"}} 1\n')
    assert len(read_pushed(own, [])) == 1
    os.utime(file, (1, 1))  # from before this process
    assert read_pushed(own, []) == []
    assert not file.exists()


def test_families_of_several_texts_are_joined() -> None:
    first = '# HELP a Text.\n# TYPE a counter\na{x="\\n# HELP b"} 1\n'
    one = f"{first}# HELP b Text.\n# TYPE b gauge\nb 2\n"
    two = "# HELP b Text.\n# TYPE b gauge\nb 3\n"
    assert join_families([one, two]) == one + "b 3\n"
    assert join_families([]) == ""
