"""What the console reads from BigQuery: the rejected, and one transaction's way."""

from typing import Any

import pytest

from ops.rig import wait_until
from schema import new_id
from tests.support.rejected_rows import Reject
from tests.support.server import Server


def ask_rejected(server: Server, reason: str) -> dict[str, Any]:
    """Return the state's part once it has been read with a reason, which takes up to a minute."""

    def asked() -> Any:
        found = server.ask("/console/state")[1]["rejected"]
        return found if found and reason in dict(found["reasons"]) else None

    found: dict[str, Any] = wait_until(asked, 120, "the rejected are read")
    return found


def test_open_rejections_are_counted_and_the_latest_are_listed(
    server: Server, reject: Reject
) -> None:
    ids = [new_id(f"key{number}", 2) for number in range(6)]
    reject(ids[0], 3, tables="counted,lines", reason="too_slow")
    reject(ids[1], 2, tables="counted", reason="too_slow")
    reject(ids[1], 1, tables="counted", reason="too_slow")  # again, after a replay that died
    reject(ids[3], 1, "discarded", tables="counted", reason="too_slow")
    reject(ids[4], 24 * 8, tables="counted", reason="too_slow")
    reject(ids[5], 4, reason="too_slow")
    reject(ids[2], 2, tables="counted", reason="too_large")
    found = ask_rejected(server, "too_large")
    latest = [each["id"] for each in found["latest"] if each["id"] in ids]
    assert latest == [ids[1], ids[2], ids[0], ids[5]]
    reasons, tables = dict(found["reasons"]), dict(found["tables"])
    assert (reasons["too_slow"], reasons["too_large"]) == (3, 1)
    assert (tables["counted"], tables["lines"]) == (3, 1)


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
