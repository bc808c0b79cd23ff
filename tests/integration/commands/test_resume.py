import asyncio
import time

import pytest

from ops.commands.__main__ import main
from ops.commands.provision import dataset
from ops.runtime import clients
from ops.runtime.settings import Settings
from workers.halt import wait_for_resume
from workers.warehouse import Warehouse


async def test_a_halted_worker_of_any_machine_goes_on_after_gatekeeper_resume(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUSHGATEWAY_PROMETHEUS_HOST", "127.0.0.1:1")
    await asyncio.to_thread(dataset.ensure, settings)
    stop = asyncio.Event()
    for count in range(2):  # the table is there the second time
        warehouse = Warehouse(clients.warehouse(settings), settings.dataset_path)
        assert await warehouse.count_resumes(lambda: 10) == count
        waiting = asyncio.create_task(wait_for_resume(warehouse, stop, 0.1))
        await asyncio.sleep(1)
        assert not waiting.done()
        assert await asyncio.to_thread(main, ["resume"]) == 0
        await asyncio.wait_for(waiting, 60)
    shown = capsys.readouterr()
    assert "halted workers go on" in shown.out
    assert "which workers have halted is not known" in shown.err


def test_resume_fails_in_one_line_without_the_warehouse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setenv("PUSHGATEWAY_PROMETHEUS_HOST", "127.0.0.1:1")
    started = time.monotonic()
    assert main(["resume"]) == 1
    assert "BigQuery does not answer at 127.0.0.1:1" in capsys.readouterr().err
    assert time.monotonic() < started + 30
