from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ops.commands.doctor import warehouse_checks
from ops.commands.doctor.check_result import CheckFailed
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE, REJECTED_TABLE, head_table, ledger_table, rejected_table

LANES = 3
CLOUD = {
    "PROJECT_ID": "some-project",
    "DATASET_ID": "some_dataset",
    "TOPIC_ID": "some-topic",
    "SUBSCRIPTION_ID": "some-subscription",
    "LEDGER_DAYS": "7",
    "REJECTED_DAYS": "40",
    "LANES": f"{LANES}",
}
LOCAL = {"LANES": f"{LANES}"}
TABLES = (
    LEDGER_TABLE,
    REJECTED_TABLE,
    *(
        name
        for lane in range(LANES)
        for name in (head_table(lane), ledger_table(lane), rejected_table(lane))
    ),
)


class ProvisionedClient:
    """A provisioned dataset."""

    def __init__(
        self,
        tables: tuple[str, ...] = TABLES,
        lanes: int = LANES,
        days: int | None = 7,
        rejected_days: int | None = 40,
    ) -> None:
        self._tables = tables
        self._lanes = lanes
        self._days = {"gatekeeper_ledger_00": days, "gatekeeper_rejected_00": rejected_days}
        self.closed = False

    def list_tables(self, dataset: str, **_: Any) -> list[SimpleNamespace]:
        assert dataset.endswith(("some_dataset", "gatekeeper"))
        return [SimpleNamespace(table_id=name) for name in ("t1", *self._tables)]

    def get_table(self, table: str, **_: Any) -> SimpleNamespace:
        days = self._days[table.rpartition(".")[2]]
        expiry = None if days is None else SimpleNamespace(expiration_ms=days * 24 * 3600 * 1000)
        return SimpleNamespace(time_partitioning=expiry)

    def query_and_wait(self, sql: str, **_: Any) -> list[dict[str, int]]:
        assert "gatekeeper_lane_00`" in sql
        return [{"lanes": self._lanes}]

    def close(self) -> None:
        self.closed = True


def checked(
    client: ProvisionedClient, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str] = CLOUD
) -> str:
    monkeypatch.setattr(clients, "warehouse", lambda _: client)
    try:
        return warehouse_checks.check_ledger(Settings.parse(variables), 1)
    finally:
        assert client.closed


def test_a_provisioned_ledger_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    text = checked(ProvisionedClient(), monkeypatch)
    assert text == "3 lanes, 7 days; rejected transactions 40 days"


@pytest.mark.parametrize("name", TABLES)
def test_a_ledger_that_lacks_a_table_or_the_view_is_wrong(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tuple(each for each in TABLES if each != name)
    with pytest.raises(CheckFailed, match=f"lacks {name}$") as caught:
        checked(ProvisionedClient(tables), monkeypatch)
    assert caught.value.remedy == "gatekeeper provision"


def test_another_number_of_lanes_is_wrong_and_the_remedy_is_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CheckFailed, match=r"has 8 lanes and LANES is 3.*set LANES=8"):
        checked(ProvisionedClient(lanes=8), monkeypatch)


@pytest.mark.parametrize(("days", "rejected"), [(8, 40), (None, 40), (7, 41), (7, None)])
def test_another_expiry_is_wrong_in_the_cloud(
    days: int | None, rejected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckFailed, match="than LEDGER_DAYS and REJECTED_DAYS") as caught:
        checked(ProvisionedClient(days=days, rejected_days=rejected), monkeypatch)
    assert caught.value.remedy == "gatekeeper provision"


def test_the_embedded_bigquery_has_no_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(ProvisionedClient(days=None), monkeypatch, LOCAL).startswith("3 lanes")
