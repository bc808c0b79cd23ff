"""What the processes of a fleet import, and do not."""

import subprocess
import sys

import pytest

GOOGLE = {"google.cloud.bigquery", "google.pubsub_v1"}


def loaded_by(module: str) -> set[str]:
    """Return the names of the modules that a program of the fleet has loaded at its start."""
    code = f"import sys, {module}.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["server", "workers"])
def test_a_server_and_a_worker_load_no_embedded_service(module: str) -> None:
    loaded = loaded_by(module)
    assert loaded >= GOOGLE
    assert not loaded & {"duckdb", "sqlglot"}


@pytest.mark.parametrize("module", ["ops.notify", "ops.fleet.autoscale"])
def test_a_program_that_may_be_off_loads_none_of_googles_libraries(module: str) -> None:
    assert not loaded_by(module) & GOOGLE


def test_the_pushgateway_loads_no_http_server_before_it_is_needed() -> None:
    assert not loaded_by("ops.local.pushgateway") & {"aiohttp", "prometheus_client"}
