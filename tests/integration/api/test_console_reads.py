"""What the console reads from BigQuery: the rejected, and one transaction's way."""

from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import bigquery

from ops.rig import wait_until
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import new_id, rejected_table
from tests.support.server import Server

Reject = Callable[..., None]


@pytest.fixture(scope="session")
def reject(around: dict[str, str]) -> Reject:
    """Write a row of a rejected transaction as a worker does, some hours ago."""
    settings = Settings.parse(around)
    client = clients.warehouse(settings)

    def write(id_: str, hours: int = 1, resolution: str | None = None, **texts: str) -> None:
        texts = {"reason": "table_missing", "error": "none", "source": "shop", **texts}
        texts |= {"id": id_, "lane": "lane-00", "sha256": texts.get("sha256", "00")}
        ago = f"TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {hours} HOUR)"
        values = {name: f"'{text}'" for name, text in texts.items()}
        values |= {"received_at": ago, "settled_at": ago, "body_bytes": "2"}
        if resolution:
            values |= {"resolution": f"'{resolution}'", "resolved_at": ago}
        lane = int(id_[:2], 16)
        sql = f"INSERT INTO {rejected_table(lane)} ({', '.join(values)}) "
        config = bigquery.QueryJobConfig(default_dataset=settings.dataset_path)
        client.query_and_wait(f"{sql} VALUES ({', '.join(values.values())})", job_config=config)

    return write


def ask_state(server: Server) -> dict[str, Any]:
    def asked() -> Any:
        found = server.ask("/console/state")[1]
        return found if found["sources"]["ledger"]["state"] == "up" else None

    state: dict[str, Any] = wait_until(asked, 60, "the rejected are read")
    return state


def test_open_rejections_are_counted_and_the_latest_are_listed(
    server: Server, reject: Reject
) -> None:
    ids = [new_id(f"key{number}", 2) for number in range(6)]
    reject(ids[0], 3, tables="orders,lines")
    reject(ids[1], 2, tables="orders")
    reject(ids[1], 1, tables="orders")  # again, after a replay that died
    reject(ids[2], 1, tables="orders", reason="type_conflict")
    reject(ids[3], 1, "discarded", tables="orders")
    reject(ids[4], 24 * 8, tables="orders")
    reject(ids[5], 4)
    found = ask_state(server)["rejected"]
    assert [each["id"] for each in found["latest"]][2:] == [ids[0], ids[5]]
    assert {each["id"] for each in found["latest"][:2]} == {ids[1], ids[2]}
    assert found["reasons"] == [["table_missing", 3], ["type_conflict", 1]]
    assert found["tables"] == [["orders", 3], ["lines", 1]]


def test_the_way_of_a_transaction_is_in_words(server: Server, reject: Reject) -> None:
    id_ = new_id("t", 2)
    reject(id_, 2, "replayed", tables="orders")
    reject(id_, 1, tables="orders", error="there is no table orders")
    status, path, _ = server.ask(f"/console/transactions/{id_}")
    assert status == 200
    assert [step["place"] for step in path["steps"]] == [
        "Gate", "Spool and Pub/Sub", "Workers and ledger",
        "Rejected transactions", "Rejected transactions",
    ]  # fmt: skip
    assert path["steps"][0]["text"].endswith("from the source shop.")
    assert "there is no table orders" in path["steps"][3]["text"]
    assert "It was replayed at" in path["steps"][4]["text"]
    assert [row["error"] for row in path["open"]] == ["there is no table orders"]


@pytest.mark.parametrize("id_", ["nobody", "01" + "f" * 30, "%27%20OR%20%271%27=%271", "a%2Fb"])
def test_an_id_that_nobody_knows_is_not_known(server: Server, id_: str) -> None:
    status, path, _ = server.ask(f"/console/transactions/{id_}")
    assert status == 200
    assert [step["text"][:9] for step in path["steps"][:2]] == ["Not known"] * 2
    assert path["open"] == []


def test_an_id_that_cannot_be_is_refused(server: Server) -> None:
    assert server.ask(f"/console/transactions/{'x' * 1025}")[0] == 404
    assert server.ask("/console/transactions/a%00b")[0] == 404
