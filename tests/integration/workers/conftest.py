"""One embedded warehouse for all tests here; every test has its own tables."""

import math
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import bigquery

from ops.commands.provision import dataset as provision_warehouse
from ops.rig import Service, free_port
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LANES
from workers.catalog import MAX_AGE_SECONDS, CatalogCache
from workers.commit import CommitSettings, Committer
from workers.rejection_limit import RejectionLimit
from workers.warehouse import Warehouse


class Local:
    """An embedded warehouse, with its dataset and ledger."""

    def __init__(self, folder: Path) -> None:
        self.variables = {
            "PROJECT_ID": "",
            "STATE_DIR": str(folder),
            "BIGQUERY_EMULATOR_HOST": f"127.0.0.1:{free_port()}",
        }
        self.settings = Settings.load(self.variables, dotenv=folder / "no.env")
        self.service = Service.module("ops.local.bigquery", **self.variables)
        self.client = clients.warehouse(self.settings)

    def wait(self) -> None:
        """Return when it answers."""
        assert self.settings.bigquery_emulator_host
        self.service.wait_for_port(self.settings.bigquery_emulator_host)

    def provision(self) -> None:
        """Make the dataset and the ledger."""
        provision_warehouse.ensure(self.settings)

    def warehouse(self, client: bigquery.Client | None = None) -> Warehouse:
        return Warehouse(client or self.client, self.settings.dataset_path)

    def committer(
        self,
        client: bigquery.Client | None = None,
        worker: str = "a worker",
        catalog_seconds: float = MAX_AGE_SECONDS,
    ) -> Committer:
        """Return a committer of this warehouse, through the given client if there is one."""
        warehouse = self.warehouse(client)
        catalog = CatalogCache(warehouse, max_age=catalog_seconds)
        return Committer(warehouse, catalog, RejectionLimit(), CommitSettings(worker, LANES))

    def rows(self, sql: str, **parameters: str) -> list[bigquery.Row]:
        """Run a query in the dataset."""
        config = bigquery.QueryJobConfig(
            default_dataset=self.settings.dataset_path,
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                for name, value in parameters.items()
            ],
        )
        return list(self.client.query_and_wait(sql, job_config=config))

    def tables(self, prefix: str) -> set[str]:
        """Return the names of the tables that start so."""
        found = self.client.list_tables(self.settings.dataset_path)
        return {each.table_id for each in found if each.table_id.startswith(prefix)}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """The warehouse, running and provisioned."""
    local = Local(tmp_path_factory.mktemp("warehouse"))
    with local.service:
        local.wait()
        local.provision()
        yield local
        local.client.close()


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for a table or an id."""
    return f"t{uuid.uuid4().hex[:12]}"


def always() -> float:
    """No deadline."""
    return math.inf


def a_while() -> float:
    """Enough time on any machine."""
    return 120.0
