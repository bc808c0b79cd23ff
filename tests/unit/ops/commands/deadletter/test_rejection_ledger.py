import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from ops.commands.deadletter.rejection_ledger import KEYS_A_QUERY, LaneKey, RejectionLedger
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import Reason, Rejection

CONFLICT = "Transaction is aborted due to concurrent update against table t"


class RecordingClient:
    """Keeps each query with its one parameter; returns `rows`, or raises the next of `errors`."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, list[str]]] = []
        self.rows: list[dict[str, str | None]] = []
        self.errors: list[Exception] = []
        self.closed = False

    def query_and_wait(
        self, sql: str, *, job_config: bigquery.QueryJobConfig, **_: Any
    ) -> list[dict[str, str | None]]:
        (parameter,) = job_config.query_parameters
        self.queries.append((sql, json.loads(parameter.value)))
        if self.errors:
            raise self.errors.pop(0)
        return self.rows

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def ledger(client: RecordingClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[RejectionLedger]:
    monkeypatch.setattr(clients, "warehouse", lambda _: client)
    ledger = RejectionLedger(Settings.parse({}))
    yield ledger
    ledger.close()
    assert client.closed


def test_the_outcomes_of_every_body_of_an_id_are_found(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    client.rows = [
        {"id": "a1", "sha256": "0", "reason": None, "error": None},
        {"id": "a1", "sha256": "1", "reason": "idempotency_conflict", "error": "another body"},
        {"id": "a2", "sha256": "2", "reason": "table_missing", "error": None},
    ]
    assert ledger.look_up(["a1", "a2", "a3"]) == {
        "a1": {"0": None, "1": Rejection(Reason.IDEMPOTENCY_CONFLICT, "another body")},
        "a2": {"2": Rejection(Reason.TABLE_MISSING, "")},
    }
    ((sql, ids),) = client.queries
    assert "gatekeeper_ledger`" in sql
    assert ids == ["a1", "a2", "a3"]


def test_many_ids_are_looked_up_in_parts(client: RecordingClient, ledger: RejectionLedger) -> None:
    ids = [f"a{n}" for n in range(KEYS_A_QUERY + 1)]
    ledger.look_up(ids)
    assert [asked for _, asked in client.queries] == [ids[:-1], ids[-1:]]


def test_rejections_are_deleted_from_their_lanes_tables(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    ledger.delete_rejected([LaneKey(7, "a1", "0"), LaneKey(31, "a2", "1"), LaneKey(7, "a3", "2")])
    assert [(sql.split("`")[1].rpartition(".")[2], pairs) for sql, pairs in client.queries] == [
        ("gatekeeper_ledger_07", ["a1 0", "a3 2"]),
        ("gatekeeper_ledger_31", ["a2 1"]),
    ]
    assert all("WHERE state = 'rejected' AND" in sql for sql, _ in client.queries)


def test_many_rejections_of_a_lane_are_deleted_in_parts(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    ledger.delete_rejected([LaneKey(7, f"a{n}", "0") for n in range(KEYS_A_QUERY + 1)])
    assert [len(pairs) for _, pairs in client.queries] == [KEYS_A_QUERY, 1]


def test_a_conflict_with_a_workers_commit_is_tried_again(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    client.errors = [BadRequest(CONFLICT)]
    ledger.delete_rejected([LaneKey(7, "a1", "0")])
    assert len(client.queries) == 2
    assert client.queries[0] == client.queries[1]


def test_a_permanent_error_is_raised_immediately(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    client.errors = [BadRequest("Syntax error")]
    with pytest.raises(BadRequest, match="Syntax error"):
        ledger.delete_rejected([LaneKey(7, "a1", "0")])
    assert len(client.queries) == 1
