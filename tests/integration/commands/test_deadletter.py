import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import bigquery
from google.pubsub_v1 import PubsubMessage

from ops.commands.__main__ import main
from ops.commands.deadletter.dead_letter_queue import DeadLetterQueue
from ops.commands.deadletter.replay import Replay
from ops.rig import Service, free_port, wait_until
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE, lane_name, lane_of, lane_of_id, ledger_table
from tests.support.stream import delete, insert, transaction

Shown = pytest.CaptureFixture[str]
LANE = lane_of("orders", 4)  # of the fixture `settings`
QUICK = ("--quiet-seconds", "0.2")


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
    config = bigquery.QueryJobConfig(default_dataset=settings.dataset_path)

    def run(sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in warehouse.query_and_wait(sql, job_config=config)]

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


def publish(settings: Settings, *messages: PubsubMessage, topic: str = "") -> None:
    async def send() -> None:
        client = clients.publisher(settings)
        for message in messages:  # one ordering key a request
            await client.publish(topic=topic or settings.topic_path, messages=[message])
        await clients.close(client)

    asyncio.run(send())


def sent(id_: str, body: object, **attributes: str) -> PubsubMessage:
    """Return a message as a server publishes it; with a reason and an error, its dead letter."""
    return PubsubMessage(
        data=json.dumps(body).encode(),
        attributes={"id": id_, "source": "shop", "ordering_key": "orders", **attributes},
        ordering_key=lane_name(LANE),
    )


def letter(id_: str, body: object, reason: str, error: str = "because") -> PubsubMessage:
    return sent(id_, body, reason=reason, error=error)


def bury(settings: Settings, *letters: PubsubMessage) -> None:
    publish(settings, *letters, topic=settings.dead_letter_topic_path)


def deadletter(*words: str) -> int:
    return main(["deadletter", *words, *QUICK])


def listed(capsys: Shown) -> dict[str, Any]:
    capsys.readouterr()
    assert deadletter("list", "--format", "json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_listing_counts_by_reason_and_table_and_takes_nothing_away(
    settings: Settings, capsys: Shown
) -> None:
    bury(
        settings,
        letter("a1", transaction(delete("orders", n=1)), "table_missing", "there is no table"),
        letter("a1", transaction(delete("orders", n=1)), "table_missing", "there is no table"),
        letter("a2", transaction(insert("orders", n=1), insert("lines", n=1)), "type_conflict"),
        letter("a3", "not a transaction", "invalid_schema"),
    )
    for _ in range(2):
        found = listed(capsys)
        assert found["dead_letters"] == 3
        assert found["by_reason"] == {
            "table_missing": 1, "type_conflict": 1, "invalid_schema": 1,
        }  # fmt: skip
        assert {(each["reason"], each["table"]) for each in found["counts"]} == {
            ("table_missing", "orders"),
            ("type_conflict", "orders"),
            ("type_conflict", "lines"),
            ("invalid_schema", None),
        }
        assert [each["id"] for each in found["newest"]] == ["a3", "a2", "a1"]
        assert found["newest"][2]["copies"] == 2
        assert not found["more"]
    assert deadletter("list") == 0
    shown = capsys.readouterr().out
    assert "there is no table" in shown
    assert "3 dead letters" in shown


def test_an_empty_subscription_is_reported(capsys: Shown) -> None:
    assert deadletter("list") == 0
    assert capsys.readouterr().out == "no dead letters\n"


def test_the_limit_bounds_the_pull_and_is_reported(settings: Settings, capsys: Shown) -> None:
    bury(settings, *(letter(f"a{n}", transaction(insert("t", n=n)), "too_large") for n in range(4)))
    assert deadletter("list", "--limit", "3", "--format", "json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["more"]
    assert "stopped at 3" in captured.err
    assert listed(capsys)["dead_letters"] == 4


def test_showing_prints_the_body_as_it_was_sent(settings: Settings, capsys: Shown) -> None:
    bury(settings, letter("a1", transaction(delete("orders", n=1)), "table_missing"))
    assert deadletter("show", "a1", "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert json.loads(shown["body"]) == transaction(delete("orders", n=1))
    assert deadletter("show", "a1", "nobody") == 1
    captured = capsys.readouterr()
    assert '"orders"' in captured.out
    assert "there is no dead letter nobody" in captured.err


def test_discarding_removes_only_the_chosen_dead_letters(settings: Settings, capsys: Shown) -> None:
    body = transaction(insert("t", n=1))
    bury(
        settings,
        letter("a1", body, "too_large"),
        letter("a2", body, "type_conflict"),
        letter("a3", body, "type_conflict"),
        letter("a4", body, "table_missing"),
    )
    assert deadletter("discard", "--all", "--dry-run") == 0
    assert capsys.readouterr().out.count("would be discarded") == 4
    assert deadletter("discard", "a1") == 0
    assert deadletter("discard", "--reason", "type_conflict") == 0
    assert [each["id"] for each in listed(capsys)["newest"]] == ["a4"]
    assert deadletter("discard", "--all") == 0
    assert listed(capsys)["dead_letters"] == 0


def test_a_command_that_names_nothing_does_nothing(settings: Settings, capsys: Shown) -> None:
    bury(settings, letter("a1", transaction(insert("t", n=1)), "too_large"))
    assert deadletter("discard") == 1
    assert "--all" in capsys.readouterr().err
    assert deadletter("replay") == 1
    assert listed(capsys)["dead_letters"] == 1


def rejected(settings: Settings, worker: Service, capsys: Shown, id_: str, body: object) -> None:
    """Send a transaction through a worker that rejects it, and wait for its dead letter."""
    publish(settings, sent(id_, body))
    if not worker.alive:
        worker.start()
    wait_until(
        lambda: id_ in {each["id"] for each in listed(capsys)["newest"]}, 30, f"{id_} is rejected"
    )


def test_a_replayed_transaction_is_applied_once_however_often_it_is_replayed(
    settings: Settings, worker: Service, capsys: Shown, query: Any
) -> None:
    body = transaction(delete("orders", n=1), insert("orders", n=7))
    rejected(settings, worker, capsys, "a1", body)
    twin = letter("a1", body, "table_missing")
    query("CREATE TABLE orders (n INT64)")

    assert deadletter("replay", "a1", "--dry-run") == 0
    assert "a1 (table_missing): would be replayed" in capsys.readouterr().out
    assert query(f"SELECT state FROM {LEDGER_TABLE}") == [{"state": "rejected"}]

    assert deadletter("replay", "a1") == 0
    assert "a1 (table_missing): replayed" in capsys.readouterr().out
    wait_until(lambda: query("SELECT n FROM orders") == [{"n": 7}], 30, "the replay is applied")
    assert listed(capsys)["dead_letters"] == 0

    for _ in range(2):  # the same dead letter, come again
        bury(settings, twin)
        assert deadletter("replay", "--reason", "table_missing") == 0
        assert "removed: it was applied as a1" in capsys.readouterr().out
    # Straight to the workers too: behind it, a later one shows that it has been dealt with.
    publish(settings, sent("a1", body))
    publish(settings, sent("a2", transaction(insert("orders", n=8))))
    wait_until(lambda: {"n": 8} in query("SELECT n FROM orders"), 30, "the later one is applied")
    assert query("SELECT n FROM orders ORDER BY n") == [{"n": 7}, {"n": 8}]
    rows = query(f"SELECT id, state FROM {LEDGER_TABLE} ORDER BY id")
    assert rows == [{"id": "a1", "state": "applied"}, {"id": "a2", "state": "applied"}]


def settle(query: Any, id_: str, state: str, body: object) -> None:
    """Write a ledger row as a worker does."""
    sha256 = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    reason = "NULL" if state == "applied" else "'table_missing'"
    query(
        f"INSERT INTO {ledger_table(LANE)} (id, state, reason, lane, sha256, settled_at) VALUES "
        f"('{id_}', '{state}', {reason}, '{lane_name(LANE)}', '{sha256}', CURRENT_TIMESTAMP())"
    )


def states(query: Any) -> list[tuple[str, str]]:
    rows = query(f"SELECT id, state FROM {LEDGER_TABLE} ORDER BY id, state")
    return [(row["id"], row["state"]) for row in rows]


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


@pytest.mark.parametrize("died_after", ["delete_rejected", "publish"])
def test_a_replay_that_dies_on_its_way_is_completed_by_the_next(
    died_after: str, settings: Settings, capsys: Shown, query: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = transaction(delete("orders", n=1), insert("orders", n=7))
    settle(query, "a1", "rejected", body)
    bury(settings, letter("a1", body, "table_missing"))
    with monkeypatch.context() as patched:
        if died_after == "publish":
            patched.setattr(DeadLetterQueue, "ack", _dies)
        else:
            patched.setattr(Replay, "publish", _dies)
        with pytest.raises(RuntimeError, match="killed here"):
            deadletter("replay", "a1")
    assert states(query) == []
    assert listed(capsys)["dead_letters"] == 1
    published(settings, 1 if died_after == "publish" else 0)

    assert deadletter("replay", "a1") == 0  # published again: the workers' guard lets one through
    (message,) = published(settings, 1)
    assert dict(message.attributes) == {
        "id": "a1", "source": "shop", "ordering_key": "orders", "copy": "possible",
    }  # fmt: skip
    assert json.loads(message.data) == body
    assert message.ordering_key == lane_name(LANE)
    assert listed(capsys)["dead_letters"] == 0


def test_a_letter_whose_transaction_is_applied_is_only_removed(
    settings: Settings, capsys: Shown, query: Any
) -> None:
    body = transaction(insert("orders", n=7))
    settle(query, "a1", "applied", body)
    bury(settings, letter("a1", body, "table_missing"))
    assert deadletter("replay", "a1") == 0
    assert "removed: it was applied as a1" in capsys.readouterr().out
    published(settings, 0)
    assert states(query) == [("a1", "applied")]
    assert listed(capsys)["dead_letters"] == 0


def test_an_id_that_is_taken_is_refused_or_replayed_under_a_new_id(
    settings: Settings, capsys: Shown, query: Any
) -> None:
    settle(query, "a1", "applied", transaction(insert("orders", n=1)))
    body = transaction(insert("orders", n=2))
    settle(query, "a1", "rejected", body)
    for _ in range(2):
        bury(settings, letter("a1", body, "idempotency_conflict"))

    assert deadletter("replay", "a1") == 1
    printed = capsys.readouterr().out
    assert "refused: its id is taken by another body, which was applied" in printed
    assert "--new-id" in printed
    assert listed(capsys)["dead_letters"] == 1

    assert deadletter("replay", "--reason", "idempotency_conflict", "--new-id") == 0
    (message,) = published(settings, 1)
    assert json.loads(message.data) == body
    assert lane_of_id(message.attributes["id"]) == LANE
    assert states(query) == [("a1", "applied"), ("a1", "rejected")]

    settle(query, message.attributes["id"], "applied", body)
    bury(settings, letter("a1", body, "idempotency_conflict"))
    capsys.readouterr()
    assert deadletter("replay", "a1", "--new-id") == 0
    assert f"removed: it was applied as {message.attributes['id']}" in capsys.readouterr().out


async def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("killed here")


def test_dead_letters_are_nacked_when_the_command_fails(
    settings: Settings, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(settings, letter("a1", transaction(insert("t", n=1)), "too_large"))
    with monkeypatch.context() as patched:
        patched.setattr(Replay, "decisions", _dies)
        with pytest.raises(RuntimeError, match="killed here"):
            deadletter("replay", "a1")
    assert listed(capsys)["dead_letters"] == 1


@pytest.mark.parametrize("name", ["PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"])
def test_an_unreachable_service_is_one_line_and_nothing_is_lost(
    name: str, settings: Settings, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(settings, letter("a1", transaction(insert("t", n=1)), "too_large"))
    with monkeypatch.context() as patched:
        patched.setenv(name, f"127.0.0.1:{free_port()}")
        assert deadletter("replay", "a1") == 1
    printed = capsys.readouterr().err
    assert "does not answer" in printed
    assert len(printed.splitlines()) == 1
    assert listed(capsys)["dead_letters"] == 1


def test_a_missing_subscription_names_the_remedy(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBSCRIPTION_ID", "nobody-made-this")
    assert deadletter("list") == 1
    assert "gatekeeper provision" in capsys.readouterr().err
