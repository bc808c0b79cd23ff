"""What the processes of a fleet import, and do not."""

import subprocess
import sys

import pytest

ARROW = {"numpy", "pyarrow", "google.cloud.bigquery_storage", "google.cloud.bigquery_storage_v1"}
GOOGLE = {"google.cloud.bigquery", "google.pubsub_v1"}
TERMINAL = {"rich", "pygments"}

_PRINT_LOADED = """
import importlib, sys
from ops.fleet import entrypoint
entrypoint.leave_out_libraries({module!r})
importlib.import_module({module!r} + ".__main__")
print(*(name for name, found in sys.modules.items() if found is not None))
"""


def loaded_by(module: str) -> set[str]:
    """Return the names of the modules that a program of the fleet has loaded at its start."""
    code = _PRINT_LOADED.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["server", "workers"])
def test_a_server_and_a_worker_load_no_library_that_only_the_embedded_services_need(
    module: str,
) -> None:
    loaded = loaded_by(module)
    assert loaded >= GOOGLE
    assert not loaded & (ARROW | TERMINAL | {"duckdb", "sqlglot"})


@pytest.mark.parametrize("module", ["ops.notify", "ops.fleet.autoscale"])
def test_a_program_that_may_be_off_loads_none_of_googles_libraries(module: str) -> None:
    assert not loaded_by(module) & (GOOGLE | ARROW | TERMINAL)


def test_the_embedded_bigquery_loads_what_it_needs() -> None:
    loaded = loaded_by("ops.local.bigquery")
    assert {"pyarrow", "duckdb"} <= loaded
    assert not loaded & TERMINAL


def test_the_pushgateway_loads_no_http_server_before_it_is_needed() -> None:
    assert not loaded_by("ops.local.pushgateway") & {"aiohttp", "prometheus_client"}
