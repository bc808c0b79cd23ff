import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.commands.doctor import machine_checks
from ops.commands.doctor.examination import examine
from ops.rig import free_port
from ops.runtime.settings import Settings

CLOUD = {
    "PROJECT_ID": "a-project",
    "DATASET_ID": "d",
    "TOPIC_ID": "topic",
    "SUBSCRIPTION_ID": "subscription",
}


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a service that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_services_that_hang_are_reported_within_the_time_limit(
    hanging: str, tmp_path: Path
) -> None:
    settings = Settings.parse(
        {
            "PUBSUB_EMULATOR_HOST": hanging,
            "BIGQUERY_EMULATOR_HOST": hanging,
            "PUSHGATEWAY_PROMETHEUS_HOST": hanging,
            "STATE_DIR": str(tmp_path),
        }
    )
    began = time.monotonic()
    found = {each.check: each for each in await examine(settings, 0.5)}
    assert time.monotonic() - began < 8  # eight checks one after the other would take longer still
    for check in ("topic", "subscription", "dead-letter subscription", "dataset", "ledger"):
        assert found[check].state == "wrong", found[check]
        assert "answer" in found[check].detail
        assert found[check].remedy == "ops/up"
    assert found["pushgateway"].state == "wrong"
    assert found["disk"].state == "ok"


# Google would rather have the type named; any type of key is good here.
@pytest.mark.filterwarnings("ignore:The load_credentials_from_file method is deprecated")
async def test_without_credentials_the_clouds_services_are_not_asked(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    nobody = f"127.0.0.1:{free_port()}"
    settings = Settings.parse(
        {
            **CLOUD,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "PUSHGATEWAY_PROMETHEUS_HOST": nobody,
            "BIGQUERY_EMULATOR_HOST": nobody,  # keeps the clock's check on this machine
        }
    )
    found = {each.check: each for each in await examine(settings, 0.5)}
    assert found["credentials"].state == "wrong"
    assert str(key) in found["credentials"].remedy
    assert found["topic"].state == "skipped"
    assert found["dataset"].state == "wrong"


def test_a_check_that_fails_unexpectedly_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    settings = Settings.parse(
        {
            "PUBSUB_EMULATOR_HOST": nobody,
            "BIGQUERY_EMULATOR_HOST": nobody,
            "PUSHGATEWAY_PROMETHEUS_HOST": nobody,
            "STATE_DIR": str(tmp_path),
        }
    )

    def broken(*_: object) -> str:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(machine_checks.CHECKS, "disk", broken)
    found = {each.check: each for each in asyncio.run(examine(settings, 1))}
    assert found["disk"].state == "wrong"
    assert found["disk"].detail == "ZeroDivisionError: oh"
