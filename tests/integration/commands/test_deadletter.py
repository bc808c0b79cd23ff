import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import bigquery
from google.pubsub_v1 import PubsubMessage

from ops.commands.__main__ import main
from ops.rejections.rejection_ledger import RejectionLedger
from ops.rejections.replay import Replay
from ops.rig import Service, free_port, wait_until
from ops.runtime import clients
from ops.runtime.bigquery import query as run_query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE, lane_name, lane_of, lane_of_id, ledger_table, rejected_table
from tests.support.stream import delete, insert, transaction

Shown = pytest.CaptureFixture[str]
LANE = lane_of("orders", 4)  # of the fixture `settings`
NO_WAIT = ("--wait", "0")


@pytest.fixture(autouse=True)
def provisioned(settings: Settings, capsys: Shown) -> Settings:
    assert main(["provision"]) == 0
    capsys.readouterr()
    return settings


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[bigquery.Client]:
    client = clients.warehouse(settings)
    yield client
    client.close()


@pytest.fixture
def query(settings: Settings, warehouse: bigquery.Client) -> Any:
    def run(sql: str, **parameters: str | None) -> list[dict[str, Any]]:
        rows = run_query(
            warehouse,
            sql,
            timeout=60,
            parameters=parameters,
            default_dataset=settings.dataset_path,
        )
        return [dict(row) for row in rows]

    return run


@pytest.fixture
def worker(settings: Settings) -> Iterator[Service]:
    """A worker that is not started yet."""
    service = Service.module(
        "workers", BATCH_MAX_SECONDS="0.1", PUSHGATEWAY_PROMETHEUS_HOST="127.0.0.1:9"
    )
    del settings
    yield service
    if service.alive:
        service.stop()


def publish(settings: Settings, *messages: PubsubMessage) -> None:
    async def send() -> None:
        client = clients.publisher(settings)
        for message in messages:  # one ordering key a request
            await client.publish(topic=settings.topic_path, messages=[message])
        await clients.close(client)

    asyncio.run(send())


def sent(id_: str, body: object) -> PubsubMessage:
    """Return a message as a server publishes it."""
    return PubsubMessage(
        data=json.dumps(body).encode(),
        attributes={"id": id_, "source": "shop", "ordering_key": "orders"},
        ordering_key=lane_name(LANE),
    )


def digest(body: object) -> str:
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def reject(
    query: Any, id_: str, body: object, reason: str = "table_missing", tables: str = "orders"
) -> None:
    """Write a row of `gatekeeper_rejected` as a worker does."""
    query(
        f"INSERT INTO {rejected_table(LANE)} (id, sha256, reason, error, source, tables, "
        "ordering_key, lane, received_at, settled_at, body_bytes, body) VALUES (@id, @sha256, "
        "@reason, 'because', 'shop', @tables, 'orders', @lane, CURRENT_TIMESTAMP(), "
        "CURRENT_TIMESTAMP(), LENGTH(@body), @body)",
        id=id_,
        sha256=digest(body),
        reason=reason,
        tables=tables,
        lane=lane_name(LANE),
        body=json.dumps(body),
    )


def settle(query: Any, id_: str, state: str, body: object) -> None:
    """Write a ledger row as a worker does."""
    reason = "NULL" if state == "applied" else "'table_missing'"
    query(
        f"INSERT INTO {ledger_table(LANE)} (id, state, reason, lane, sha256, settled_at) VALUES "
        f"('{id_}', '{state}', {reason}, '{lane_name(LANE)}', '{digest(body)}', "
        "CURRENT_TIMESTAMP())"
    )


def deadletter(*words: str) -> int:
    return main(["deadletter", *words])


def listed(capsys: Shown, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert deadletter("list", "--json", *words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [each["id"] for each in found["newest"]]


def resolutions(query: Any) -> list[tuple[str, str, str | None]]:
    rows = query(
        "SELECT id, reason, resolution, resolved_at FROM gatekeeper_rejected ORDER BY settled_at"
    )
    assert all((row["resolution"] is None) == (row["resolved_at"] is None) for row in rows)
    return [(row["id"], row["reason"], row["resolution"]) for row in rows]


def states(query: Any) -> list[tuple[str, str]]:
    rows = query(f"SELECT id, state FROM {LEDGER_TABLE} ORDER BY id, state")
    return [(row["id"], row["state"]) for row in rows]


def test_rejections_are_listed_shown_and_discarded_by_what_they_are(
    capsys: Shown, query: Any
) -> None:
    assert deadletter("list") == 0
    assert capsys.readouterr().out == "no rejected transactions\n"

    gone = transaction(delete("orders", n=1))
    reject(query, "a1", gone, "type_conflict")
    reject(query, "a1", gone, "table_missing")  # the same id and body, rejected again
    reject(query, "a2", transaction(insert("orders", n=1)), "type_conflict", "orders,lines")
    reject(query, "a3", "not a transaction", "invalid_schema", "")
    query(f"UPDATE {rejected_table(LANE)} SET body = NULL, body_bytes = 7000000 WHERE id = 'a3'")

    found = listed(capsys)
    assert ids(found) == ["a3", "a2", "a1"]
    assert (found["rejected"], found["more"]) == (3, False)
    assert found["by_reason"] == {"table_missing": 1, "type_conflict": 1, "invalid_schema": 1}
    assert {(each["reason"], each["table"]) for each in found["counts"]} == {
        ("table_missing", "orders"),
        ("type_conflict", "orders"),
        ("type_conflict", "lines"),
        ("invalid_schema", None),
    }
    assert ids(listed(capsys, "--where", "reason=type_conflict")) == ["a2"]
    assert ids(listed(capsys, "--where", "table=lines,source=shop,since=1h")) == ["a2"]
    assert ids(listed(capsys, "--where", "source=nobody")) == []
    assert ids(listed(capsys, "--limit", "1")) == ["a3"]
    assert "there are more" in str(deadletter("list", "--limit", "1")) + capsys.readouterr().err
    assert deadletter("list") == 0
    assert "3 rejected, the newest 3 shown" in capsys.readouterr().out

    assert deadletter("show", "a1", "a3", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert json.loads(first["body"]) == gone
    assert second["body"] is None
    assert "7,000,000 bytes is not stored" in second["body_missing"]
    assert deadletter("show", "a1", "nobody") == 1
    captured = capsys.readouterr()
    assert '"orders"' in captured.out
    assert "there is no open rejection of nobody" in captured.err

    assert deadletter("replay", "a3", *NO_WAIT) == 1
    assert "a3 (invalid_schema): refused: its body of 7,000,000 bytes" in capsys.readouterr().out

    assert main(["export", "rejected", "--since", "1h"]) == 0
    exported = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(each["id"] for each in exported) == ["a1", "a1", "a2", "a3"]
    assert main(["export", "ledger"]) == 0
    assert not capsys.readouterr().out

    assert deadletter("discard", "--where", "table=orders", "--yes") == 0
    assert capsys.readouterr().out == "2 discarded\n"
    assert resolutions(query) == [
        ("a1", "type_conflict", "discarded"),
        ("a1", "table_missing", "discarded"),
        ("a2", "type_conflict", "discarded"),
        ("a3", "invalid_schema", None),
    ]


def test_a_discard_asks_and_takes_no_more_than_it_has_shown(
    capsys: Shown, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(query, "a1", 1)
    reject(query, "a2", 2)
    asked: list[str] = []
    answers = [False, True]

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        if answers == [True]:
            reject(query, "a1", 1)  # rejected once more, meanwhile
        return answers.pop(0)

    monkeypatch.setattr("ops.commands.deadletter.actions.agreed", confirm)
    assert deadletter("discard", "--all") == 1
    assert "nothing is discarded" in capsys.readouterr().err
    assert listed(capsys)["rejected"] == 2
    assert deadletter("discard", "--all") == 0
    assert ids(listed(capsys)) == ["a1"]
    assert asked == ["Discard 2 rejected transactions?"] * 2
    assert deadletter("discard") == 2
    assert "--all" in capsys.readouterr().err


def test_a_replay_waits_and_prints_what_became_of_each_however_often(
    settings: Settings, worker: Service, capsys: Shown, query: Any
) -> None:
    body = transaction(delete("orders", n=1), insert("orders", n=7))
    other = transaction(delete("lines", n=1))
    publish(settings, sent("a1", body), sent("a2", other))
    worker.start()
    wait_until(lambda: listed(capsys)["rejected"] == 2, 60, "both are rejected")
    query("CREATE TABLE orders (n INT64)")

    assert deadletter("replay", "a1", "--dry-run") == 0
    assert "a1 (table_missing): would be replayed" in capsys.readouterr().out
    assert states(query) == [("a1", "rejected"), ("a2", "rejected")]

    assert deadletter("replay", "--where", "since=1h", "--wait", "120") == 1
    printed = capsys.readouterr().out.splitlines()
    assert "a1 (table_missing): applied" in printed
    assert [line for line in printed if "a2 (table_missing): rejected again" in line]
    assert query("SELECT n FROM orders") == [{"n": 7}]
    assert ids(listed(capsys)) == ["a2"]
    assert sorted(resolutions(query), key=str) == [
        ("a1", "table_missing", "replayed"),
        ("a2", "table_missing", "replayed"),
        ("a2", "table_missing", None),
    ]

    reject(query, "a1", body)  # as if its row had never been resolved
    assert deadletter("replay", "a1") == 0
    assert "resolved: it was applied as a1" in capsys.readouterr().out
    # Straight to the workers too: behind it, a later one shows that it has been dealt with.
    publish(settings, sent("a1", body), sent("a3", transaction(insert("orders", n=8))))
    wait_until(lambda: {"n": 8} in query("SELECT n FROM orders"), 60, "the later one is applied")
    assert query("SELECT n FROM orders ORDER BY n") == [{"n": 7}, {"n": 8}]
    assert states(query) == [("a1", "applied"), ("a2", "rejected"), ("a3", "applied")]


def published(settings: Settings, count: int) -> list[PubsubMessage]:
    """Take what was published to the workers: at least `count` messages, and no more come."""

    async def take() -> list[PubsubMessage]:
        client = clients.subscriber(settings)
        messages: list[PubsubMessage] = []
        while True:
            enough = len(messages) >= count
            answer = await client.pull(
                subscription=settings.subscription_path,
                max_messages=100,
                timeout=0.8 if enough else 10,
            )
            if not answer.received_messages:
                break
            messages += [each.message for each in answer.received_messages]
            await client.acknowledge(
                subscription=settings.subscription_path,
                ack_ids=[each.ack_id for each in answer.received_messages],
            )
        await clients.close(client)
        assert len(messages) == count
        return messages

    return asyncio.run(take())


@pytest.mark.parametrize("died_in", ["publish", "resolve"])
def test_a_replay_that_dies_on_its_way_is_completed_by_the_next(
    died_in: str, settings: Settings, capsys: Shown, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = transaction(delete("orders", n=1), insert("orders", n=7))
    settle(query, "a1", "rejected", body)
    reject(query, "a1", body)
    with monkeypatch.context() as patched:
        patched.setattr(Replay if died_in == "publish" else RejectionLedger, died_in, _dies)
        assert deadletter("replay", "a1") == 1
    assert "unexpected error: RuntimeError: killed here" in capsys.readouterr().err
    assert states(query) == []
    assert listed(capsys)["rejected"] == 1
    published(settings, 1 if died_in == "resolve" else 0)

    # It is published again: the workers' guard lets one through.
    assert deadletter("replay", "a1", "--wait", "1") == 1
    assert "published, and not settled yet" in capsys.readouterr().out
    (message,) = published(settings, 1)
    received_at = message.attributes.pop("received_at")
    assert received_at.endswith("+00:00")
    assert dict(message.attributes) == {
        "id": "a1",
        "source": "shop",
        "ordering_key": "orders",
        "sha256": digest(body),
        "copy": "possible",
    }
    assert json.loads(message.data) == body
    assert message.ordering_key == lane_name(LANE)
    assert listed(capsys)["rejected"] == 0


def test_an_id_that_is_taken_is_refused_or_replayed_under_a_new_id(
    settings: Settings, capsys: Shown, query: Any
) -> None:
    settle(query, "a1", "applied", transaction(insert("orders", n=1)))
    body = transaction(insert("orders", n=2))
    settle(query, "a1", "rejected", body)
    reject(query, "a1", body, "idempotency_conflict")

    assert deadletter("replay", "a1", *NO_WAIT) == 1
    printed = capsys.readouterr().out
    assert "refused: its id is taken by another body, which was applied" in printed
    assert "--new-id" in printed
    assert listed(capsys)["rejected"] == 1

    chosen = ("--where", "reason=idempotency_conflict", "--new-id", *NO_WAIT)
    assert deadletter("replay", *chosen) == 0
    (message,) = published(settings, 1)
    assert json.loads(message.data) == body
    assert lane_of_id(message.attributes["id"]) == LANE
    assert states(query) == [("a1", "applied"), ("a1", "rejected")]

    settle(query, message.attributes["id"], "applied", body)
    reject(query, "a1", body, "idempotency_conflict")
    capsys.readouterr()
    assert deadletter("replay", "a1", "--new-id") == 0
    assert f"resolved: it was applied as {message.attributes['id']}" in capsys.readouterr().out


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("killed here")


@pytest.mark.parametrize("name", ["PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"])
def test_an_unreachable_service_is_one_line_and_nothing_is_lost(
    name: str, capsys: Shown, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(query, "a1", transaction(insert("t", n=1)), "too_large")
    with monkeypatch.context() as patched:
        patched.setenv(name, f"127.0.0.1:{free_port()}")
        assert deadletter("replay", "a1") == 1
    printed = capsys.readouterr().err
    assert "does not answer" in printed
    assert len(printed.splitlines()) == 1
    assert listed(capsys)["rejected"] == 1


def test_a_missing_table_names_the_remedy(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_ID", "nobody_made_this")
    assert deadletter("list") == 1
    assert "gatekeeper provision" in capsys.readouterr().err
