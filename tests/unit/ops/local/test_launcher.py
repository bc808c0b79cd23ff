import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.local.launcher import launch

CLOUD = {
    "PROJECT_ID": "a-project",
    "DATASET_ID": "d",
    "TOPIC_ID": "topic",
    "SUBSCRIPTION_ID": "workers",
}

LOCAL_PACKAGES = "anyio", "duckdb", "fastapi", "local_bigquery", "numpy", "sqlglot", "uvicorn"
"""Packages of requirements-local.txt that requirements.txt does not have."""
WITHOUT_THEM = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(autouse=True)
def _no_log_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.runtime.log.setup", lambda *_: None)


def start() -> tuple[int, list[tuple[Any, ...]]]:
    addresses: list[tuple[Any, ...]] = []

    def run(_: object, listener: socket.socket) -> int:
        with listener:
            addresses.append(listener.getsockname())
        return 7

    return launch("the service", "service", "PUBSUB_EMULATOR_HOST", run), addresses


def test_it_binds_the_address_and_returns_the_services_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "{}:{}".format(*address))
    assert start() == (7, [address])


def test_in_the_cloud_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in CLOUD.items():
        monkeypatch.setenv(name, value)
    assert start() == (0, [])
    assert capsys.readouterr().out == "the service is not needed: PROJECT_ID is set\n"


def test_a_taken_address_is_one_line_of_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        assert start() == (1, [])
    expected = f"the service cannot listen on {address} (PUBSUB_EMULATOR_HOST): Address already"
    assert capsys.readouterr().err.startswith(expected)


@pytest.mark.parametrize("name", ["bigquery", "pubsub", "pushgateway"])
def test_in_the_cloud_a_service_ends_without_the_packages_of_local_mode(
    name: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT_THEM, f"ops.local.{name}", *LOCAL_PACKAGES]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | CLOUD, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("is not needed: PROJECT_ID is set\n")
