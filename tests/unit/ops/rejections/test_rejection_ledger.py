import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from ops.rejections import rejection_ledger
from ops.rejections.rejection_ledger import KEYS_A_QUERY, LaneKey, RejectionLedger
from ops.rejections.selection import Selection
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import Reason, Rejection
from tests.support.stored_rejections import rejected_row, stored

CONFLICT = "Transaction is aborted due to concurrent update against table t"


class RecordingClient:
    """Keeps each query with its list of ids; returns `rows`, or raises the next of `errors`."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, list[str]]] = []
        self.rows: list[dict[str, Any]] = []
        self.parameters: dict[str, str] = {}
        self.errors: list[Exception] = []
        self.closed = False

    def query_and_wait(
        self, sql: str, *, job_config: bigquery.QueryJobConfig, **_: Any
    ) -> list[dict[str, Any]]:
        self.parameters = {each.name: each.value for each in job_config.query_parameters}
        lists = [text for text in self.parameters.values() if text.startswith("[")]
        self.queries.append((sql, json.loads(lists[0]) if lists else []))
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


def test_only_those_that_were_read_are_resolved_in_their_lanes_tables(
    client: RecordingClient, ledger: RejectionLedger
) -> None:
    one, two = stored("a1", lane="lane-07"), stored("a2", lane="lane-31")
    later = stored("a3", lane="lane-07")
    later = later._replace(settled_at=later.settled_at + timedelta(seconds=1))
    ledger.resolve([one, two, later], "discarded")
    assert [(sql.split("`")[1].rpartition(".")[2], pairs) for sql, pairs in client.queries] == [
        ("gatekeeper_rejected_07", [f"a1 {one.sha256}", f"a3 {later.sha256}"]),
        ("gatekeeper_rejected_31", [f"a2 {two.sha256}"]),
    ]
    assert client.parameters["resolution"] == "discarded"
    assert client.parameters["newest"] == "2026-01-01 23:59:00+00:00"
    assert all("settled_at <= CAST(@newest AS TIMESTAMP)" in sql for sql, _ in client.queries)


def test_reading_stops_at_the_limit_and_when_the_bodies_fill_the_memory(
    client: RecordingClient, ledger: RejectionLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.rows = [rejected_row(f"a{n}", "x" * 98) for n in range(4)]

    def read(limit: int, *, newest: bool = False) -> tuple[list[str], bool]:
        found, more = ledger.open_rejections(Selection(limit), newest=newest, bodies=True)
        return [each.id for each in found], more

    assert read(4) == (["a0", "a1", "a2", "a3"], False)
    assert read(3) == (["a0", "a1", "a2"], True)
    assert read(2, newest=True) == (["a1", "a0"], True)
    monkeypatch.setattr(rejection_ledger, "MAX_BYTES", 150)
    assert read(4) == (["a0", "a1"], True)
