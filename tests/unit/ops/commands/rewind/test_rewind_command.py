"""Google's clients against a server of the three calls that a rewind needs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from google.pubsub_v1 import types

from ops.commands.__main__ import main

Shown = pytest.CaptureFixture[str]


class SeekableSubscription:
    """A topic that keeps `kept_days` and a backlog whose oldest is `oldest_seconds` old."""

    def __init__(self) -> None:
        self.kept_days = 7
        self.oldest_seconds = 0.0
        self.can_seek = True
        self.sought: list[Any] = []

    def get_topic(self, request: Any, _: grpc.ServicerContext) -> Any:
        kept = Duration(seconds=self.kept_days * 86_400) if self.kept_days else None
        return types.Topic.pb()(name=request.topic, message_retention_duration=kept)

    def backlog(self, _: Any, __: grpc.ServicerContext) -> Any:
        answer = Struct()
        answer.update({"unacked": 1, "oldest_age_seconds": self.oldest_seconds})
        return answer

    def seek(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not self.can_seek:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Seek")
        self.sought.append(request)
        return types.SeekResponse.pb()()


def _method(call: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        call, request.FromString, lambda answer: answer.SerializeToString()
    )


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[SeekableSubscription]:
    fake = SeekableSubscription()
    services = {
        "google.pubsub.v1.Publisher": {
            "GetTopic": _method(fake.get_topic, types.GetTopicRequest.pb())
        },
        "google.pubsub.v1.Subscriber": {"Seek": _method(fake.seek, types.SeekRequest.pb())},
        "gatekeeper.local.v1.Backlog": {"Get": _method(fake.backlog, StringValue)},
    }
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        for name, methods in services.items():
            handlers = grpc.method_handlers_generic_handler(name, methods)
            server.add_generic_rpc_handlers((handlers,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PROJECT_ID", "")
        monkeypatch.setenv("STATE_DIR", str(tmp_path))
        monkeypatch.setenv("LEDGER_DAYS", "5")
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
        yield fake
        server.stop(None).wait()


def test_the_subscription_is_sought_to_the_time(
    pubsub: SeekableSubscription, capsys: Shown
) -> None:
    pubsub.oldest_seconds = 3_000
    before = datetime.now(UTC)
    assert main(["rewind", "--to", "1h", "--yes"]) == 0
    assert "Pub/Sub delivers again what was published since" in capsys.readouterr().out
    (request,) = pubsub.sought
    assert request.subscription == "projects/gatekeeper-local/subscriptions/gatekeeper-workers"
    point = request.time.ToDatetime(UTC)
    assert before <= point + timedelta(hours=1) <= datetime.now(UTC)


def test_a_no_changes_nothing(
    pubsub: SeekableSubscription, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "ops.commands.rewind.subscription_rewind.agreed",
        lambda text, **_: asked.append(text),
    )
    assert main(["rewind", "--to", "1h"]) == 1
    assert "nothing is changed" in capsys.readouterr().err
    assert len(asked) == 1
    assert not pubsub.sought


@pytest.mark.parametrize(
    ("to", "attributes", "cause"),
    [
        ("1h", {"oldest_seconds": 3_700}, "waits would be lost: give a time before"),
        ("1h", {"kept_days": 0}, "run `gatekeeper provision --retention DAYS`"),
        ("8d", {}, "the topic keeps 7 days"),
        ("5d", {}, "older than 4 days (LEDGER_DAYS less one)"),
        ("1h", {"can_seek": False}, "the embedded one keeps nothing that is acknowledged"),
    ],
)
def test_what_would_lose_or_repeat_transactions_is_refused_in_one_line(
    to: str,
    attributes: dict[str, Any],
    cause: str,
    pubsub: SeekableSubscription,
    capsys: Shown,
) -> None:
    for name, value in attributes.items():
        setattr(pubsub, name, value)
    assert main(["rewind", "--to", to, "--yes"]) == 1
    printed = capsys.readouterr().err
    assert cause in printed
    assert len(printed.splitlines()) == 1
    assert not pubsub.sought
