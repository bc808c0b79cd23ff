from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.fleet.ports import free_ports
from ops.rig import Service
from ops.runtime.settings import Settings


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The embedded Pub/Sub and BigQuery; yields their environment."""
    folder: Path = tmp_path_factory.mktemp("local")
    pubsub, warehouse = (f"127.0.0.1:{port}" for port in free_ports(2))
    variables = {
        "PROJECT_ID": "",
        "STATE_DIR": str(folder),
        "PUBSUB_EMULATOR_HOST": pubsub,
        "BIGQUERY_EMULATOR_HOST": warehouse,
    }
    with (
        Service.module("ops.local.pubsub", **variables) as first,
        Service.module("ops.local.bigquery", **variables) as second,
    ):
        first.wait_for_port(pubsub)
        second.wait_for_port(warehouse)
        yield variables


@pytest.fixture
def settings(local: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the embedded services, with the test's own topics and dataset."""
    own = tmp_path.name.replace("-", "_")
    own_names = {"DATASET_ID": own, "TOPIC_ID": own, "SUBSCRIPTION_ID": own}
    lanes = {"LANES": "4"}  # each has two tables to make
    for name, value in {**local, **own_names, **lanes}.items():
        monkeypatch.setenv(name, value)
    return Settings.load(dotenv=tmp_path / "no.env")
