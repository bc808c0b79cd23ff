"""From a rejection on a fleet to a receiver that is down at first, through the real notifier."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.contracts import column, contract_text
from tests.support.stream import delete, insert, transaction
from tests.support.webhook_receiver import WebhookReceiver

PATIENCE = 300.0
"""Seconds. Rejections are gathered for up to a minute; the first retries follow within 25 s."""


@pytest.fixture
def receiver(fleet: DisposableFleet) -> Iterator[WebhookReceiver]:
    """A receiver that does not serve yet, and that the contract of `reported` names."""
    folder = fleet.settings.contracts_dir
    folder.mkdir(exist_ok=True)
    file = folder / "reported.yaml"
    with WebhookReceiver() as down:
        custom = {"mode": "evolve", "notify": down.url}
        file.write_text(contract_text("reported", column("n", "INTEGER"), custom=custom))
        try:
            yield down
        finally:
            file.unlink()


def state(fleet: DisposableFleet) -> str:
    [row] = json.loads(fleet.gatekeeper("notify", "list", "--json").stdout)
    assert (row["kind"], row["name"]) == ("table", "reported")
    return str(row["state"])


def test_a_rejection_reaches_a_receiver_that_was_down_signed_and_the_fleet_goes_on(
    fleet: DisposableFleet, receiver: WebhookReceiver
) -> None:
    log = fleet.run / "notifier.log"
    in_force = '"action":"contracts_in_force","files":1,'
    wait_until(lambda: in_force in log.read_text(), PATIENCE, "the notifier has the contract")
    rejected = []
    for number in range(3):
        status, verdict = fleet.post(transaction(delete("reported", n=number)))
        assert status == 200, "the table is found to be missing later"
        rejected.append(verdict["id"])

    def failures() -> float:
        return fleet.pushed_total("gatekeeper_notification_failures_total")

    wait_until(failures, PATIENCE, "the notifier tries the receiver")
    assert state(fleet) == "failing"
    ids = [fleet.post(transaction(insert("meanwhile", n=number)))[1]["id"] for number in range(3)]
    fleet.wait_until_drained(PATIENCE)
    applied = fleet.query("SELECT id FROM gatekeeper_ledger WHERE state = 'applied'")
    assert set(ids) <= {row["id"] for row in applied}
    assert receiver.got == []

    secret = fleet.gatekeeper("notify", "secret", "reported").stdout.strip()

    def events() -> list[dict[str, Any]]:
        return [Webhook(secret).verify(body, headers) for body, headers in list(receiver.got)]

    def notified() -> list[str]:
        return sorted(id_ for event in events() for id_ in event["data"]["ids"])

    with receiver.serving():
        wait_until(lambda: notified() == sorted(rejected), PATIENCE, "each rejection came once")
        wait_until(lambda: state(fleet) == "ok", PATIENCE, "nothing fails any more")
    assert notified() == sorted(rejected)
    for event in events():
        assert (event["specversion"], event["subject"]) == ("1.0", "reported")
        assert event["type"] == "gatekeeper.transactions.rejected"
        data = event["data"]
        assert (data["reason"], data["table"]) == ("table_missing", "reported")
        assert data["count"] == len(data["ids"])
        assert "reported" in data["error"]
