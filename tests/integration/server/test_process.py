"""`python -m server` as an operator and a developer use it."""

import contextlib
import json
import os
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ops.fleet.config import ROOT
from ops.fleet.ports import listening
from ops.rig import Service, free_port, wait_until
from server import lifecycle
from tests.support.server_in_process import NOWHERE

VARIABLES = {
    "PROJECT_ID": "",
    "SPOOL_MAX_BYTES": "0",
    "PUBSUB_EMULATOR_HOST": NOWHERE,
    "PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE,
}


def answers(port: int, message: str = "Alive") -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(json.load(answer)["message"] == message)
    except OSError:
        return False


def test_a_taken_port_stops_it_with_one_clear_line() -> None:
    with contextlib.closing(lifecycle.open_listener("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Service.module("server", PORT=str(port), **VARIABLES) as server:
            assert server.wait() == 1
            assert server.output == (
                f"server: cannot listen on port {port} of 127.0.0.1: Address already in use\n"
            )


def test_wrong_settings_stop_it_and_are_all_listed() -> None:
    with Service.module("server", **VARIABLES, MAX_BODY_BYTES="much", LOG_LEVEL="loud") as server:
        assert server.wait() == 78
        assert "MAX_BODY_BYTES='much'" in server.output
        assert "LOG_LEVEL='loud'" in server.output


def test_without_pubsub_it_is_alive_but_not_ready_and_stops_cleanly() -> None:
    port = free_port()
    with Service.module("server", PORT=str(port), **VARIABLES) as server:
        server.wait_for_port(f"127.0.0.1:{port}")
        assert answers(port)
        with pytest.raises(urllib.error.HTTPError) as unready:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)
        with unready.value as answer:
            assert answer.code == 503
            assert json.load(answer)["message"] == "Unavailable"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_the_access_log_is_a_json_line_for_each_request_without_its_values() -> None:
    port = free_port()
    with Service.module("server", PORT=str(port), **VARIABLES) as server:
        server.wait_for_port(f"127.0.0.1:{port}")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/activities?token=hidden",
            data=b'{"confidential": 1}',
            headers={"Content-Type": "application/json", "Idempotency-Key": "hidden"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        refused.value.close()
        wait_until(lambda: '"action":"request"' in server.output, what="the line in the log")
        (line,) = (each for each in server.output.splitlines() if '"request"' in each)
    fields = json.loads(line)
    assert (fields["route"], fields["status"]) == ("/api/activities", 400)
    assert (fields["message"], fields["bytes"]) == ("Invalid Schema", 19)
    assert fields["ms"] >= 0
    assert "confidential" not in line
    assert "hidden" not in line


def test_watchfiles_restarts_the_server_when_its_source_changes(tmp_path: Path) -> None:
    for package in ("server", "schema", "ops"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "run")
        )
    port = free_port()
    # The command of the README, in this environment.
    program = f"{sys.executable} -m server"
    command = [sys.executable, "-m", "watchfiles", program, "server", "schema", "ops/runtime"]
    environ = {**os.environ, **VARIABLES, "PORT": str(port)}
    with Service(command, cwd=tmp_path, environ=environ) as server:
        server.wait_for_port(f"127.0.0.1:{port}")
        wait_until(lambda: answers(port), what="the first server answers")
        source = tmp_path / "server" / "api" / "responses.py"
        source.write_text(source.read_text().replace('"Alive"', '"Alive and changed"'))

        wait_until(lambda: answers(port, "Alive and changed"), what="the new source is served")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not listening(f"127.0.0.1:{port}")
