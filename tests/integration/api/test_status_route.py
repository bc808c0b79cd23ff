"""`GET /api/activities/{id}`: a transaction's row of the ledger."""

import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from google.cloud import bigquery

from ops.runtime import clients
from ops.runtime.api_keys import mint
from ops.runtime.settings import Settings
from schema import LEDGER_COLUMNS, derive_id, lane_name, lane_of, lane_of_id, ledger_table, new_id
from tests.support.server import Server
from tests.support.server_in_process import FakeTopic, in_process_server

COLUMNS = [column.name for column in LEDGER_COLUMNS]
RECEIVED = "2026-01-01T10:00:00+00:00"
SETTLED = "2026-01-01T10:00:01.250000+00:00"

Settle = Callable[..., None]


@pytest.fixture(scope="session")
def settle(around: dict[str, str]) -> Settle:
    """Write a row as a worker does, into the table of the lane that its id names."""
    settings = Settings.parse(around)
    client = clients.warehouse(settings)

    def write(**row: Any) -> None:
        usual = {"state": "applied", "sha256": "00", "source": "", "settled_at": SETTLED}
        lane = lane_of_id(row["id"], settings.lanes) or 0
        usual |= {"lane": lane_name(lane), "received_at": RECEIVED, "worker": "worker_00"}
        values = {**usual, "activities": 2, **row}
        text = ", ".join(
            "TIMESTAMP " * name.endswith("_at")
            + (str(value) if name == "activities" else f"'{value}'")
            for name, value in values.items()
        )
        sql = f"INSERT INTO {ledger_table(lane)} ({', '.join(values)}) VALUES ({text})"
        config = bigquery.QueryJobConfig(default_dataset=settings.dataset_path)
        client.query_and_wait(sql, job_config=config)

    return write


def test_an_applied_transaction_has_its_times(server: Server, settle: Settle) -> None:
    settle(id="one", ordering_key="t1")

    status, row, _ = server.ask("/api/activities/one")

    assert status == 200
    assert list(row) == ["status", *COLUMNS, "conflicts"]
    assert row == {
        "status": 200,
        "id": "one",
        "state": "applied",
        "reason": None,
        "error": None,
        "source": "",
        "ordering_key": "t1",
        "lane": "lane-00",
        "sha256": "00",
        "activities": 2,
        "received_at": RECEIVED,
        "settled_at": SETTLED,
        "worker": "worker_00",
        "conflicts": [],
    }


def test_an_id_of_our_own_is_found_in_its_lane(
    server: Server, settle: Settle, around: dict[str, str]
) -> None:
    lanes = Settings.parse(around).lanes
    for name in (derive_id("", "t1", "order 17", lanes), new_id("t1", lanes)):
        settle(id=name, ordering_key="t1")
        status, row, _ = server.ask(f"/api/activities/{name}")
        assert (status, row["id"], row["lane"]) == (200, name, lane_name(lane_of("t1", lanes)))


def test_a_rejected_transaction_has_its_reason(server: Server, settle: Settle) -> None:
    settle(id="bad", state="rejected", reason="table_missing", error="there is no table t9")

    status, row, _ = server.ask("/api/activities/bad")
    assert (status, row["state"], row["reason"]) == (200, "rejected", "table_missing")
    assert row["error"] == "there is no table t9"


@pytest.mark.parametrize("settled_at", [SETTLED, "2026-01-01T10:00:09+00:00"])
def test_another_body_under_the_same_id_is_a_conflict(
    server: Server, settle: Settle, settled_at: str
) -> None:
    name = f"twice {settled_at}"
    conflict = {"state": "rejected", "reason": "idempotency_conflict", "error": "another body"}
    settle(id=name, sha256="11", settled_at=settled_at, **conflict)
    settle(id=name)

    _, row, _ = server.ask(f"/api/activities/{urllib.parse.quote(name)}")

    assert (row["state"], row["sha256"]) == ("applied", "00")
    assert [(each["reason"], each["sha256"]) for each in row["conflicts"]] == [
        ("idempotency_conflict", "11")
    ]


@pytest.mark.parametrize(
    "name", ["unknown", "é😀", "a/b", "' OR 1=1 --", "x" * 1_024, "x" * 1_025, "a\nb", "a\0b", "%"]
)
def test_a_transaction_that_is_not_settled_is_a_404_with_a_clear_message(
    server: Server, name: str
) -> None:
    status, answer, _ = server.ask(f"/api/activities/{urllib.parse.quote(name, safe='')}")

    assert (status, answer["message"], answer["payload"]) == (404, "Not Found", None)
    (fault,) = answer["error"]
    assert fault["rule"] == "transaction"
    assert "not yet applied" in fault["message"] or "1,024 printable" in fault["message"]


def test_an_id_is_found_whatever_characters_it_has(server: Server, settle: Settle) -> None:
    for name in ("a/b é😀 %2F", "validate me"):
        settle(id=name)
        path = f"/api/activities/{urllib.parse.quote(name, safe='')}"
        assert server.ask(path)[1]["id"] == name


@pytest.mark.parametrize("path", ["/api/activities/validate", "/api/activities/batch"])
def test_the_paths_of_post_routes_are_no_ids(server: Server, path: str) -> None:
    status, _, headers = server.ask(path)
    assert (status, headers["Allow"]) == (405, "POST")


def test_a_key_sees_its_own_transactions_alone(
    guarded: Server, settle: Settle, keys_file: Any
) -> None:
    minted = {name: mint(name, RECEIVED) for name in ("own", "other")}
    keys_file.write_text("".join(kept.line() for _, kept in minted.values()))
    settle(id="of own", source="own")

    def ask(headers: Mapping[str, str]) -> int:
        return guarded.ask("/api/activities/of%20own", headers=headers)[0]

    assert ask({}) == 401
    for name, expected in (("own", 200), ("other", 404)):
        assert ask({"Authorization": f"Bearer {minted[name][0]}"}) == expected


async def test_a_warehouse_that_is_away_is_a_503_and_nothing_else_suffers() -> None:
    async with in_process_server(FakeTopic(), BIGQUERY_EMULATOR_HOST="127.0.0.1:9") as server:
        async with server.client.get(f"{server.url}/api/activities/x") as answer:
            verdict = await server.verdict(answer)
            assert (answer.status, verdict["message"]) == (503, "Unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            assert "127.0.0.1" not in json.dumps(verdict)
        assert (await server.get("/readyz"))[0] == 200
