from datetime import UTC, datetime
from typing import Any

import pytest

from schema import Message
from server.console.transaction_path import Found, Unknown, path_of
from server.spool import SpooledMessage

ID = "07" + "a" * 30
RECEIVED = "2026-01-01T10:00:00+00:00"
SETTLED = "2026-01-01T10:00:01.250+00:00"
APPLIED = (
    "Applied at 2026-01-01 10:00:01 UTC by m:worker_00 in lane-07, 1.2 s after it was received."
)
KEPT = "Rejected at 2026-01-01 10:00:01 UTC: table_missing: there is no table t. Tables: t, u."
ON_DISK = "On the disk of m since 2026-01-01 10:00:02 UTC"


def ledger(state: str = "applied", **more: Any) -> dict[str, Any]:
    row = {
        "id": ID, "state": state, "reason": None, "error": None, "source": "shop",
        "lane": "lane-07", "activities": 2, "received_at": RECEIVED, "settled_at": SETTLED,
        "worker": "m:worker_00",
    }  # fmt: skip
    return row | more


def rejected(**more: Any) -> dict[str, Any]:
    row = {
        "id": ID, "reason": "table_missing", "error": "there is no table t", "source": "shop",
        "tables": "t,u", "received_at": RECEIVED, "settled_at": SETTLED, "worker": "m:worker_00",
        "body_bytes": 9, "resolution": None, "resolved_at": None,
    }  # fmt: skip
    return row | more


def spooled(error: str | None = None) -> SpooledMessage:
    message = Message(b"{}", ID, "shop", RECEIVED, "00", "t", 7)
    return SpooledMessage(datetime(2026, 1, 1, 10, 0, 2, tzinfo=UTC), error, message)


def texts(found: Found) -> list[str]:
    path = path_of(ID, found, "m", 32, 30)
    assert (path["id"], path["lane"]) == (ID, "lane-07")
    return [each["text"] for each in path["steps"]]


def test_an_applied_transaction_has_its_whole_way() -> None:
    assert texts(Found(None, [ledger()], [])) == [
        "Accepted at 2026-01-01 10:00:00 UTC, from the source shop.",
        "Pub/Sub had it: a worker received it.",
        f"{APPLIED} Activities: 2.",
        "It is not among them.",
    ]


def test_a_rejected_one_has_its_reason_its_tables_and_is_open() -> None:
    why = {"reason": "table_missing", "error": "there is no table t"}
    found = Found(None, [ledger("rejected", **why)], [rejected()])
    assert texts(found)[2:] == [
        f"{APPLIED.replace('Applied', 'Rejected')[:-1]}: table_missing: there is no table t",
        f"{KEPT} It is open: replay or discard it.",
    ]
    assert path_of(ID, found, "m", 32, 30)["open"] == [rejected()]


def test_a_replayed_one_is_not_open() -> None:
    replayed = rejected(resolution="replayed", resolved_at="2026-01-02T00:00:00+00:00")
    found = Found(None, [], [replayed])
    assert texts(found)[0].startswith("Accepted at")
    assert texts(found)[2] == "No worker has settled it, or it is older than 30 days."
    assert texts(found)[3].endswith("It was replayed at 2026-01-02 00:00:00 UTC.")
    assert path_of(ID, found, "m", 32, 30)["open"] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, f"{ON_DISK}: Pub/Sub does not have it yet."),
        (
            "too large",
            f"{ON_DISK}: Pub/Sub refuses it: too large. See `gatekeeper spool list`.",
        ),
    ],
)
def test_a_spooled_one_is_on_the_disk(error: str | None, expected: str) -> None:
    found = texts(Found(spooled(error), [], []))
    assert found[:2] == ["Accepted at 2026-01-01 10:00:00 UTC, from the source shop.", expected]


def test_what_is_not_known_is_so_in_words() -> None:
    nowhere = texts(Found(None, [], []))
    assert nowhere[0].startswith("Not known: ")
    assert nowhere[1].startswith("Not known: it is not on the disk of m. It may wait in Pub/Sub")
    away = Unknown("the warehouse does not answer now")
    blind = texts(Found(Unknown("no answer in time"), away, away))
    assert blind[1].startswith("Not known: no answer in time. ")
    assert blind[2:] == ["Not known: the warehouse does not answer now."] * 2


def test_an_id_of_another_publisher_has_no_lane_and_no_source() -> None:
    row = ledger(id="x", received_at=None, source=None, worker=None, activities=None)
    path = path_of("x", Found(None, [row], []), "m", 32, 30)
    assert path["lane"] is None
    assert path["steps"][0]["text"].startswith("Accepted at a time that is not known, from the")
    assert "a worker that is not known in lane-07." in path["steps"][2]["text"]
