"""From a dead letter on the embedded Pub/Sub to a receiver on loopback."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from google.pubsub_v1 import PubsubMessage
from standardwebhooks import Webhook

from ops.commands.__main__ import main
from ops.commands.provision import subscriptions
from ops.notify import Outbox, open_webhooks, outbox_file, read_receivers
from ops.notify.dead_letter_reader import DeadLetterReader
from ops.notify.notifier import Notifier
from ops.rig import Service, wait_until
from ops.runtime import clients
from ops.runtime.settings import Settings
from tests.support.fake_clock import FakeClock
from tests.support.stream import insert, transaction
from tests.support.webhook_receiver import WebhookReceiver

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def hook() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver, receiver.serving():
        yield receiver


@pytest.fixture
def notified(
    settings: Settings, hook: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with a key `shop` whose rejections go to the hook, provisioned."""
    del settings
    (tmp_path / "notify-key").write_text("n" * 32)
    monkeypatch.setenv("NOTIFY_KEY_FILE", str(tmp_path / "notify-key"))
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "127.0.0.1:9")
    assert main(["apikey", "create", "shop", "--notify", hook.url]) == 0
    found = Settings.load(dotenv=tmp_path / "no.env")
    changes = asyncio.run(subscriptions.ensure(found))
    assert any(str(each).endswith("-notify: created") for each in changes)
    return found


def letter(id_: str) -> PubsubMessage:
    return PubsubMessage(
        data=json.dumps(transaction(insert("orders", n=1))).encode(),
        attributes={"id": id_, "source": "shop", "reason": "type_conflict", "error": "because"},
    )


async def test_rejections_reach_the_receiver_of_their_key(
    notified: Settings, hook: WebhookReceiver, capsys: Shown
) -> None:
    publisher, subscriber = clients.publisher(notified), clients.subscriber(notified)
    clock = FakeClock(0)
    letters = [letter(f"t{number}") for number in range(3)]
    await publisher.publish(topic=notified.dead_letter_topic_path, messages=letters)
    with closing(Outbox(outbox_file(notified))) as outbox:
        path = notified.notify_subscription_path
        keys = notified.api_keys_file
        reader = DeadLetterReader(subscriber, path, lambda: read_receivers(keys, ()), outbox, clock)
        while sum(each.total for each in outbox.due(60).get(hook.url, [])) < 3:
            await reader.read_once()
        clock.now = 60
        async with open_webhooks(notified) as webhooks, asyncio.TaskGroup() as tasks:
            Notifier(outbox, webhooks, clock).start_due(tasks)
        assert outbox.due(10_000) == {}
    await clients.close(publisher, subscriber)

    [(body, headers)] = hook.got
    capsys.readouterr()
    assert main(["notify", "secret", "shop"]) == 0
    event = Webhook(capsys.readouterr().out.strip()).verify(body, headers)
    assert event["subject"] == "orders"
    assert event["data"]["count"] == 3
    assert sorted(event["data"]["ids"]) == ["t0", "t1", "t2"]


def test_a_test_is_sent_and_switches_a_receiver_on_again(
    notified: Settings, hook: WebhookReceiver, capsys: Shown
) -> None:
    with closing(Outbox(outbox_file(notified))) as outbox:
        outbox.switch_off(hook.url, "410: no more")
    capsys.readouterr()
    assert main(["notify", "list", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["name"], row["state"]) == ("key", "shop", "off")

    hook.status = 500
    assert main(["notify", "test", "shop"]) == 1
    assert "500" in capsys.readouterr().out
    hook.status = 204
    assert main(["notify", "test", "key/shop"]) == 0
    assert "204" in capsys.readouterr().out
    assert json.loads(hook.got[-1][0])["type"] == "gatekeeper.notify.test"
    assert main(["notify", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "ok"

    assert main(["notify", "test", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err


def test_the_process_is_not_needed_without_a_key_and_runs_until_its_end_with_one(
    notified: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del notified
    with Service.module("ops.notify", PUSHGATEWAY_PROMETHEUS_HOST="127.0.0.1:9") as running:
        wait_until(lambda: "metrics_push_failed" in running.output, 60)
        assert running.stop() == 0
    monkeypatch.delenv("NOTIFY_KEY_FILE")
    with Service.module("ops.notify") as idle:
        assert idle.wait() == 0
    assert '"action":"notifier_off"' in idle.output
