import asyncio

import pytest
from google.cloud import bigquery

from ops.commands.__main__ import main
from ops.commands.provision import dataset as provision_warehouse
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE
from tests.support.processes import free_port
from workers.ledger import LEDGER_SCHEMA


def test_everything_is_created_and_the_second_run_finds_it_there(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provision"]) == 0
    created = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in created] == [
        "topic", "topic", "subscription", "subscription", "dataset", "ledger",
    ]  # fmt: skip
    assert all(line.endswith("created") for line in created), created
    assert settings.subscription_path in created[2]

    assert main(["provision"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert all(line.endswith("already there") for line in again), again


def test_the_ledger_takes_a_row_and_keeps_its_columns(settings: Settings) -> None:
    assert main(["provision"]) == 0
    client = clients.warehouse(settings)
    table = client.get_table(f"{settings.dataset_path}.{LEDGER_TABLE}")
    assert [field.name for field in table.schema] == [field.name for field in LEDGER_SCHEMA]
    client.close()  # type: ignore[no-untyped-call]


def test_another_lease_updates_the_subscription(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["provision"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("LEASE_SECONDS", str(settings.lease_seconds + 7))
    assert main(["provision"]) == 0
    assert "updated (ack_deadline_seconds)" in capsys.readouterr().out


def test_a_subscription_without_ordering_is_refused_with_the_remedy(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def wrong() -> None:
        publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
        await publisher.create_topic(name=settings.topic_path)
        await subscriber.create_subscription(
            name=settings.subscription_path, topic=settings.topic_path
        )
        await publisher.transport.close()  # type: ignore[no-untyped-call]
        await subscriber.transport.close()  # type: ignore[no-untyped-call]

    asyncio.run(wrong())
    assert main(["provision"]) == 1
    assert "has message ordering off" in capsys.readouterr().err


def test_a_column_added_to_the_ledger_later_is_added_to_an_older_table(settings: Settings) -> None:
    client = clients.warehouse(settings)
    client.create_dataset(settings.dataset_path)
    older = bigquery.Table(f"{settings.dataset_path}.{LEDGER_TABLE}", schema=LEDGER_SCHEMA[:-1])
    client.create_table(older)
    outcome = provision_warehouse.ensure(settings)[1].outcome
    columns = [each.name for each in client.get_table(older.reference).schema]
    client.close()  # type: ignore[no-untyped-call]
    assert outcome == "updated"
    assert columns == [field.name for field in LEDGER_SCHEMA]


def test_an_unreachable_service_is_one_line(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", nobody)
    assert settings.local
    assert main(["provision"]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert f"Pub/Sub does not answer at {nobody}" in printed[0]


def test_in_the_cloud_only_local_creates_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PROJECT_ID", "DATASET_ID", "TOPIC_ID", "SUBSCRIPTION_ID"):
        monkeypatch.setenv(name, "some-project" if name == "PROJECT_ID" else "something")
    assert main(["provision", "--only-local"]) == 0
    assert "gatekeeper provision" in capsys.readouterr().out
