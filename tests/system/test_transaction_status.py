"""A transaction's way as its client can follow it: accepted, settled, and a key used twice."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet


def post(fleet: DisposableFleet, value: int, key: str) -> dict[str, Any]:
    insert = {
        "operation": "insert",
        "table": "followed",
        "col_names": ["n"],
        "col_types": ["INTEGER"],
        "col_values": [value],
    }
    request = urllib.request.Request(
        f"http://{fleet.address}/api/activities",
        data=json.dumps({"activities": [insert]}).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        verdict: dict[str, Any] = json.load(answer)
    return verdict


def settled(fleet: DisposableFleet, name: str) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(fleet.get(f"http://{fleet.address}/api/activities/{name}"))
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 404:
                raise
        return None
    return row


def test_a_key_again_is_applied_once_and_with_another_body_it_is_refused(
    fleet: DisposableFleet,
) -> None:
    name = post(fleet, 1, "followed 1")["id"]
    row = wait_until(lambda: settled(fleet, name), 60, "the transaction is settled")
    assert (row["state"], row["reason"], row["conflicts"]) == ("applied", None, [])
    assert row["received_at"] <= row["settled_at"]

    assert post(fleet, 1, "followed 1")["id"] == name  # sent again: accepted, and skipped
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(fleet, 2, "followed 1")  # another body
    with refused.value as answer:
        assert (answer.code, b"idempotency_key" in answer.read()) == (409, True)
    assert settled(fleet, name) == row
    assert fleet.query("SELECT n FROM followed") == [{"n": 1}]
