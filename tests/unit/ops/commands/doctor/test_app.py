import json
from pathlib import Path

import pytest

from ops.commands.__main__ import main
from ops.rig import free_port


def test_anything_wrong_is_exit_status_1_and_named_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST"):
        monkeypatch.setenv(name, nobody)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    assert main(["doctor", "--json", "--seconds", "1"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["well"]
    states = {each["check"]: each["state"] for each in document["checks"]}
    assert states["settings"] == "ok"
    assert states["topic"] == states["dataset"] == states["pushgateway"] == "wrong"
    assert states["credentials"] == "skipped"
