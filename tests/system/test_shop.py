"""The sample shop on a fleet, with the contracts in `contracts/`: sent, applied, reported."""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.shop_activities import Column, delete, insert, transaction, update
from examples.shop_faults import FAULTS
from examples.shop_history import FILE, QUIET
from ops.fleet.config import ROOT
from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.file_contents import file_contents
from tests.support.pubsub import Client

SENT = QUIET + 1_200
"""Lines: enough for every kind of fault."""
WORKERS_REJECT = ("table_missing", "column_missing", "type_conflict")
PATIENCE = 300.0
"""Seconds, for a busy machine."""
HIDDEN = re.compile(rb"@example\.com|192\.0\.2\.|(?<![0-9])[0-9]{16}(?![0-9])")
"""Addresses and cards in the file, which are all in columns that a contract hides."""
EVERYTHING = "projects/gatekeeper-local/subscriptions/everything"
"""It keeps all messages of the topic."""


async def subscribe(fleet: DisposableFleet) -> None:
    client = Client(str(fleet.settings.pubsub_emulator_host))
    async with client.channel:
        await client.subscriber.create_subscription(
            name=EVERYTHING, topic=fleet.settings.topic_path, ack_deadline_seconds=600
        )


async def published(fleet: DisposableFleet, count: int) -> list[bytes]:
    """Return the bodies of all messages; there are at least `count`."""
    client = Client(str(fleet.settings.pubsub_emulator_host))
    async with client.channel:
        return [each.message.data for each in await client.pull(EVERYTHING, count, PATIENCE)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisposableFleet]:
    folder = tmp_path_factory.mktemp("shop")
    fleet = DisposableFleet(folder, CONTRACTS_DIR=str(ROOT / "contracts"))
    try:
        fleet.up()
        asyncio.run(subscribe(fleet))
        yield fleet
    finally:
        fleet.end()


@pytest.fixture(scope="module")
def sent(shop: DisposableFleet) -> Path:
    """Send the start of the file and wait until all of it is settled; return the rejected lines."""
    lines = FILE.read_text().splitlines(keepends=True)[:SENT]
    file = shop.folder / "shop.ndjson"
    file.write_text("".join(lines))
    done = shop.gatekeeper("send", str(file), "--url", f"http://{shop.address}", check=False)
    assert done.returncode == 1, "some lines were rejected"
    rejected = shop.folder / "shop.ndjson.rejected.ndjson"
    accepted = SENT - len(rejected.read_text().splitlines())

    def all_settled() -> bool:
        counts = shop.query("SELECT COUNT(*) AS n FROM gatekeeper_ledger")
        return bool(counts[0]["n"] == accepted)

    wait_until(all_settled, PATIENCE, f"{accepted} transactions are settled")
    return rejected


def accepted_payloads(rejected: Path) -> list[Any]:
    refused = {json.loads(line)["line"] for line in rejected.read_text().splitlines()}
    lines = FILE.read_text().splitlines()[:SENT]
    return [json.loads(line) for number, line in enumerate(lines, 1) if number not in refused]


def test_the_gate_and_the_workers_reject_the_faulty_transactions_and_no_other(
    shop: DisposableFleet, sent: Path
) -> None:
    reasons = Counter(
        row["reason"]
        for row in shop.query("SELECT reason FROM gatekeeper_ledger WHERE state = 'rejected'")
    )
    assert set(reasons) == set(WORKERS_REJECT)
    rules = {
        fault["rule"]
        for line in sent.read_text().splitlines()
        for fault in json.loads(line)["error"]
    }
    named = {kind.split(maxsplit=1)[0] for kind in FAULTS} - {"not", "reported", *WORKERS_REJECT}
    assert named <= rules


def test_the_tables_have_the_rows_of_the_accepted_transactions(
    shop: DisposableFleet, sent: Path
) -> None:
    placed = {
        activity["col_values"][0]
        for payload in accepted_payloads(sent)
        for activity in payload["activities"]
        if (activity["operation"], activity["table"]) == ("insert", "orders")
    }
    assert {row["id"] for row in shop.query("SELECT id FROM orders")} == placed
    wrong = shop.query("""
        SELECT orders.id FROM orders
        LEFT JOIN (SELECT order_id, SUM(quantity * price) AS lines FROM items GROUP BY order_id)
          AS sums ON sums.order_id = orders.id
        WHERE orders.total != COALESCE(sums.lines, 0)""")
    assert wrong == []
    unpaid = shop.query("""
        SELECT orders.id FROM orders LEFT JOIN payments ON payments.order_id = orders.id
        WHERE orders.status IN ('paid', 'shipped', 'returned') AND payments.id IS NULL""")
    assert unpaid == []


def test_no_address_and_no_card_is_in_the_tables(shop: DisposableFleet, sent: Path) -> None:
    assert sent.exists()
    customers = shop.query("SELECT * FROM customers")
    assert customers
    assert all(len(row["email"]) == 64 and "ip_address" not in row for row in customers)
    cards = shop.query("SELECT card FROM payments WHERE card IS NOT NULL")
    assert cards
    assert all(row["card"].startswith("************") for row in cards)


def test_no_hidden_value_is_in_a_message_the_ledger_a_log_or_another_file(
    shop: DisposableFleet, sent: Path
) -> None:
    hidden = set(HIDDEN.findall((shop.folder / "shop.ndjson").read_bytes()))
    assert {b"@example.com", b"192.0.2."} < hidden, "and cards"
    payloads = accepted_payloads(sent)
    messages = asyncio.run(published(shop, len(payloads)))
    ledger = str(shop.query("SELECT * FROM gatekeeper_ledger")).encode()
    assert hidden.isdisjoint(HIDDEN.findall(b"\n".join([*messages, ledger])))
    for content in file_contents(shop.run, shop.settings.state_dir):
        assert hidden.isdisjoint(HIDDEN.findall(content))


def test_updates_and_deletes_find_rows_by_a_hidden_value_out_of_the_spool_too(
    shop: DisposableFleet, sent: Path
) -> None:
    assert sent.exists()
    ann, bob = (("email", "TEXT", f"{name}@secret.example") for name in ("ann", "bob"))

    def ann_and_bob() -> list[Any]:
        return shop.query("SELECT id, email, country, newsletter FROM customers WHERE id > 800000")

    verdict = post(shop, new_customer(800_001, ann))
    post(shop, new_customer(800_002, bob))
    hashed = verdict["payload"]["activities"][0]["col_values"][1]
    row = {"id": 800_001, "email": hashed, "country": "DE", "newsletter": True}
    post(shop, update("customers", ann, ("newsletter", "BOOLEAN", True)))
    post(shop, delete("customers", bob))
    wait_until(lambda: ann_and_bob() == [row], PATIENCE, "one is changed, the other deleted")

    control(shop, "stop")
    post(shop, update("customers", ann, ("country", "TEXT", "FR")))
    files = b"".join(file_contents(shop.settings.state_dir / "spool"))
    assert hashed.encode() in files, "it is in the spool"
    control(shop, "start")
    wait_until(lambda: ann_and_bob() == [row | {"country": "FR"}], PATIENCE, "it is changed again")
    for content in file_contents(shop.run, shop.settings.state_dir):
        assert b"@secret.example" not in content


def new_customer(number: int, email: Column) -> Any:
    row = (("country", "TEXT", "DE"), ("joined_on", "DATE", "2026-02-01"))
    return insert("customers", ("id", "INTEGER", number), email, *row)


def post(shop: DisposableFleet, activity: Any) -> dict[str, Any]:
    status, verdict = shop.post(transaction(activity))
    assert status == 200
    return verdict


def control(shop: DisposableFleet, action: str) -> None:
    words = ("-m", "supervisor.supervisorctl", "-c", shop.conf, action, "pubsub")
    shop.command(sys.executable, *words)


def test_the_report_has_what_broke_each_contract_and_the_tables_are_as_these_want(
    shop: DisposableFleet, sent: Path
) -> None:
    assert sent.exists()

    def report() -> list[Any]:
        found: list[Any] = json.loads(shop.gatekeeper("contract", "report", "--json").stdout)
        return found

    def rules(outcome: str) -> set[str]:
        return {row["rule"] for row in report() if row["outcome"] == outcome}

    refused = {kind.split(maxsplit=1)[0] for kind in FAULTS if kind.startswith("contract_")}
    reported = {f"contract_{kind.split()[1]}" for kind in FAULTS if kind.startswith("reported ")}
    wait_until(lambda: rules("refused") == refused, 60, "the counts are written")
    assert rules("reported") == reported
    teams = {(row["contract"], row["team"]) for row in report()}
    assert teams == {("orders", "shop"), ("customers", "accounts"), ("payments", "payments")}
    plan = shop.gatekeeper("contract", "plan").stdout
    assert "nothing to do: 4 tables are as their contracts say" in plan
