import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery
from google.pubsub_v1 import Subscription, Topic

from ops.commands.__main__ import main
from ops.commands.provision import dataset as provision_warehouse
from ops.commands.provision import lane_ddl
from ops.rig import free_port
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import (
    LEDGER_COLUMNS,
    LEDGER_LABEL,
    LEDGER_TABLE,
    REJECTED_COLUMNS,
    REJECTED_TABLE,
    head_table,
    lane_name,
    ledger_table,
    rejected_table,
)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[bigquery.Client]:
    client = clients.warehouse(settings)
    yield client
    client.close()


def test_everything_is_created_and_the_second_run_finds_it_there(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provision"]) == 0
    created = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in created] == [
        "topic", "topic", "subscription", "subscription", "dataset", "ledger", "view", "view",
    ]  # fmt: skip
    assert all(line.endswith("created") for line in created), created
    assert settings.subscription_path in created[2]

    assert main(["provision"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert all(line.endswith("already there") for line in again), again


def test_a_dry_run_prints_what_a_run_would_do_and_does_nothing(
    settings: Settings, warehouse: bigquery.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provision", "--dry-run"]) == 0
    planned = capsys.readouterr().out.splitlines()
    assert len(planned) == 8
    assert all(line.endswith("would be created") for line in planned), planned
    with pytest.raises(NotFound):
        warehouse.get_dataset(settings.dataset_path)

    assert main(["provision"]) == 0
    done = capsys.readouterr().out.splitlines()
    assert done == [line.replace("would be ", "") for line in planned]
    assert main(["provision", "--dry-run"]) == 0
    assert "would be" not in capsys.readouterr().out


def test_labels_regions_and_retention_are_set_and_kept(
    settings: Settings, warehouse: bigquery.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    async def found() -> tuple[Topic, Subscription]:
        publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
        try:
            return (
                await publisher.get_topic(topic=settings.topic_path),
                await subscriber.get_subscription(subscription=settings.subscription_path),
            )
        finally:
            await clients.close(publisher, subscriber)

    options = ["--labels", "team=data", "--region", "europe-west1", "--retention", "14"]
    assert main(["provision", *options]) == 0
    capsys.readouterr()
    for again in ([], ["--retention", "14"], options):
        assert main(["provision", *again]) == 0
        printed = capsys.readouterr().out
        assert printed.count("already there") == 8, printed
        topic, subscription = asyncio.run(found())
        assert dict(topic.labels) == dict(subscription.labels) == {"team": "data"}
        assert list(topic.message_storage_policy.allowed_persistence_regions) == ["europe-west1"]
        assert subscription.message_retention_duration == timedelta(days=14)
        assert topic.message_retention_duration == timedelta(days=14)
    labels = warehouse.get_dataset(settings.dataset_path).labels
    assert labels == {"team": "data", "gatekeeper_ledger": "2"}

    assert main(["provision", "--retention", "7", "--labels", "env=live", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("would be updated (message_retention_duration, labels)") == 2
    assert printed.count("would be updated (labels, message_retention_duration)") == 1, "the topic"
    assert printed.count("would be updated (labels)") == 2, "the other topic and the dataset"


@pytest.mark.parametrize("options", [["--labels", "Team=1"], ["--kms-key", "k"]])
def test_what_google_would_refuse_is_one_line_and_nothing_is_made(
    options: list[str],
    settings: Settings,
    warehouse: bigquery.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["provision", *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(NotFound):
        warehouse.get_dataset(settings.dataset_path)


def test_each_lane_has_a_ledger_and_a_head_and_a_view_is_over_the_ledgers(
    settings: Settings, warehouse: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANES", "3")
    assert main(["provision"]) == 0
    tables = {each.table_id: each.table_type for each in warehouse.list_tables(settings.dataset_id)}
    assert tables == {
        **{head_table(lane): "TABLE" for lane in range(3)},
        **{ledger_table(lane): "TABLE" for lane in range(3)},
        **{rejected_table(lane): "TABLE" for lane in range(3)},
        LEDGER_TABLE: "VIEW",
        REJECTED_TABLE: "VIEW",
    }


def test_the_ledger_has_its_columns_and_shows_every_lanes_rows(
    settings: Settings, warehouse: bigquery.Client
) -> None:
    assert main(["provision"]) == 0
    for name in (LEDGER_TABLE, ledger_table(0), ledger_table(settings.lanes - 1)):
        table = warehouse.get_table(f"{settings.dataset_path}.{name}")
        assert [field.name for field in table.schema] == [each.name for each in LEDGER_COLUMNS]
    for lane in range(settings.lanes):
        query(
            warehouse,
            f"INSERT INTO `{settings.dataset_path}.{ledger_table(lane)}` "
            f"(id, state, lane, sha256, settled_at) "
            f"VALUES ('{lane}', 'applied', '{lane_name(lane)}', '0', CURRENT_TIMESTAMP())",
            timeout=30,
        )
    found = query(
        warehouse, f"SELECT id, lane FROM `{settings.dataset_path}.{LEDGER_TABLE}`", timeout=30
    )
    assert {(row["id"], row["lane"]) for row in found} == {
        (f"{lane}", lane_name(lane)) for lane in range(settings.lanes)
    }


def test_a_lanes_head_has_one_row_that_a_second_run_leaves_alone(
    settings: Settings, warehouse: bigquery.Client
) -> None:
    head = f"`{settings.dataset_path}.{head_table(0)}`"
    assert main(["provision"]) == 0
    query(warehouse, f"UPDATE {head} SET epoch = 7 WHERE TRUE", timeout=30)
    assert main(["provision"]) == 0
    (row,) = query(warehouse, f"SELECT * FROM {head}", timeout=30)
    assert dict(row) == {"epoch": 7, "lanes": settings.lanes, "suspect": None, "attempts": 0}


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
        await publisher.transport.close()
        await subscriber.transport.close()

    asyncio.run(wrong())
    assert main(["provision"]) == 1
    assert "has message ordering off" in capsys.readouterr().err


def test_a_run_that_died_between_two_lanes_is_completed(
    settings: Settings, warehouse: bigquery.Client
) -> None:
    assert main(["provision"]) == 0
    gone = (head_table(1), ledger_table(2), head_table(3), ledger_table(3), rejected_table(0))
    for name in gone:
        warehouse.delete_table(f"{settings.dataset_path}.{name}")
    outcomes = [change.outcome for change in provision_warehouse.ensure(settings)]
    assert outcomes == ["already there", "created", "already there", "already there"]
    assert {each.table_id for each in warehouse.list_tables(settings.dataset_id)} >= set(gone)


def test_another_number_of_lanes_is_refused_with_the_remedy(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["provision"]) == 0
    monkeypatch.setenv("LANES", "8")
    assert main(["provision"]) == 1
    assert f"set LANES={settings.lanes}" in capsys.readouterr().err


def test_the_ledger_of_version_1_is_refused_with_the_remedy(
    settings: Settings, warehouse: bigquery.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.create_dataset(settings.dataset_path)
    older = [bigquery.SchemaField("id", "STRING"), bigquery.SchemaField("settled_at", "TIMESTAMP")]
    warehouse.create_table(bigquery.Table(f"{settings.dataset_path}.{LEDGER_TABLE}", schema=older))
    assert main(["provision"]) == 1
    assert "RENAME TO gatekeeper_ledger_v1" in capsys.readouterr().err


def test_a_ledger_of_an_earlier_version_gets_its_new_columns_and_keeps_its_rows(
    settings: Settings,
    warehouse: bigquery.Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = settings.dataset_path
    with monkeypatch.context() as earlier:
        earlier.setattr(lane_ddl, "REJECTED_COLUMNS", REJECTED_COLUMNS[:-2])
        assert main(["provision"]) == 0
    query(
        warehouse,
        f"INSERT INTO `{dataset}.{rejected_table(settings.lanes - 1)}` "
        "(id, sha256, reason, lane, settled_at, body_bytes) "
        "VALUES ('kept', '0', 'contract', 'lane-00', CURRENT_TIMESTAMP(), 2)",
        timeout=30,
    )
    capsys.readouterr()

    assert main(["provision"]) == 0
    assert "updated (new columns: resolution, resolved_at)" in capsys.readouterr().out
    rows = query(warehouse, f"SELECT id, resolution FROM `{dataset}.{REJECTED_TABLE}`", timeout=30)
    assert [tuple(row.values()) for row in rows] == [("kept", None)]
    assert main(["provision"]) == 0
    assert "updated" not in capsys.readouterr().out


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(
    settings: Settings, warehouse: bigquery.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    later = bigquery.Dataset(settings.dataset_path)
    later.labels = {LEDGER_LABEL: "3"}
    warehouse.create_dataset(later)
    assert main(["provision"]) == 1
    assert "has version 3 and this Gatekeeper knows 2: run the version" in capsys.readouterr().err
    assert not list(warehouse.list_tables(settings.dataset_path))


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
