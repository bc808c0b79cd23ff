import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import bigquery
from google.pubsub_v1 import Subscription

from ops.commands.__main__ import main
from ops.commands.doctor import machine_checks, pubsub_checks, warehouse_checks
from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.commands.doctor.examination import examine
from ops.commands.provision import dataset, subscriptions
from ops.runtime.settings import Settings
from server.publish import SpoolFailed
from server.spool import SpoolSummary
from tests.support.processes import free_port

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


async def test_services_that_hang_are_told_within_their_bound(hanging: str, tmp_path: Path) -> None:
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


def test_anything_wrong_is_exit_status_1_and_named_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST"):
        monkeypatch.setenv(name, nobody)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    assert main(["doctor", "--format", "json", "--seconds", "1"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["well"]
    states = {each["check"]: each["state"] for each in document["checks"]}
    assert states["settings"] == "ok"
    assert states["topic"] == states["dataset"] == states["pushgateway"] == "wrong"
    assert states["credentials"] == "skipped"


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


def judged(**changes: object) -> str:
    settings = Settings.parse({})
    wanted = subscriptions.workers_subscription(settings)
    found = Subscription(wanted)
    for name, value in changes.items():
        setattr(found, name, value)
    with pytest.raises(CheckFailed) as caught:
        pubsub_checks.check_subscription(found, wanted)
    return f"{caught.value} → {caught.value.remedy}"


def test_each_way_a_subscription_can_be_wrong_names_its_remedy() -> None:
    assert "ordering off" in judged(enable_message_ordering=False)
    assert "leases of 20 s, not 60 → gatekeeper provision" in judged(ack_deadline_seconds=20)
    assert "is detached" in judged(detached=True)
    assert "_deleted-topic_" in judged(topic="_deleted-topic_")
    assert "--clear-dead-letter-policy" in judged(
        dead_letter_policy={"dead_letter_topic": "projects/p/topics/t"}
    )
    assert "retry_policy → gatekeeper provision" in judged(retry_policy=None)


def test_a_ledger_without_a_column_or_with_another_type_is_wrong() -> None:
    wanted = dataset.ledger_table(Settings.parse({}))
    lacking = bigquery.Table(str(wanted.reference), schema=wanted.schema[:-1])
    with pytest.raises(CheckFailed, match="lacks worker") as caught:
        warehouse_checks.check_ledger_table(lacking, wanted, partitioned=False)
    assert caught.value.remedy == "gatekeeper provision"
    other = [bigquery.SchemaField("id", "INT64"), *wanted.schema[1:]]
    with pytest.raises(CheckFailed, match="column id is INTEGER"):
        warehouse_checks.check_ledger_table(
            bigquery.Table(str(wanted.reference), schema=other), wanted, partitioned=False
        )
    unpartitioned = bigquery.Table(str(wanted.reference), schema=wanted.schema)
    with pytest.raises(CheckFailed, match="not partitioned"):
        warehouse_checks.check_ledger_table(unpartitioned, wanted, partitioned=True)
    warehouse_checks.check_ledger_table(wanted, wanted, partitioned=True)


def test_a_clock_that_is_off_is_wrong_in_either_direction() -> None:
    assert "agrees with b" in machine_checks.check_skew(-1.2, "http://b/")
    with pytest.raises(CheckFailed, match="60 s ahead of b"):
        machine_checks.check_skew(60, "http://b/")
    with pytest.raises(CheckFailed, match="60 s behind b"):
        machine_checks.check_skew(-60, "http://b/")


def test_a_full_disk_and_missing_keys_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    settings = Settings.parse({"STATE_DIR": str(tmp_path / "new"), "API_KEYS_FILE": str(keys)})
    assert "GB free" in machine_checks.disk(settings, 1)
    with pytest.raises(CheckFailed, match="does not exist"):
        machine_checks.api_keys(settings, 1)
    keys.write_text("{}")
    assert "is readable" in machine_checks.api_keys(settings, 1)
    with pytest.raises(CheckSkipped):
        machine_checks.api_keys(Settings.parse({}), 1)
    monkeypatch.setattr(machine_checks, "LEAST_FREE_BYTES", 10**18)
    with pytest.raises(CheckFailed, match="GB free"):
        machine_checks.disk(settings, 1)


def test_spooled_transactions_are_counted_and_refused_ones_are_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.parse({"STATE_DIR": str(tmp_path)})
    assert machine_checks.spool(settings, 1) == "nothing was ever spooled"

    def check(summary: SpoolSummary | SpoolFailed) -> str:
        def read_summary(*_: object) -> SpoolSummary:
            if isinstance(summary, SpoolFailed):
                raise summary
            return summary

        monkeypatch.setattr(machine_checks, "read_summary", read_summary)
        return machine_checks.spool(settings, 1)

    file = tmp_path / "spool.sqlite3"
    assert check(SpoolSummary(file, 0, 0, 0)) == "empty"
    assert check(SpoolSummary(file, 2, 1_500_000, 0)).startswith("2 transactions (1.5 MB)")
    with pytest.raises(CheckFailed, match="1 transactions that Pub/Sub refused"):
        check(SpoolSummary(file, 2, 20, 1))
    with pytest.raises(CheckFailed, match="not a database"):
        check(SpoolFailed(f"{file}: not a database"))


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
