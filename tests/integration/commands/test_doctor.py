import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ops.commands.__main__ import main
from ops.runtime.settings import Settings


class _ReadyHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/-/ready" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  # the name that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pushgateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _ReadyHandler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setenv("PUSHGATEWAY_PROMETHEUS_HOST", f"127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    capsys.readouterr()
    status = main(["doctor", "--json", "--seconds", "120"])
    document = json.loads(capsys.readouterr().out)
    return status, {each["check"]: each for each in document["checks"]}


@pytest.mark.usefixtures("settings", "pushgateway")
def test_provisioned_resources_are_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provision"]) == 0
    status, found = examined(capsys)
    assert [each for each in found.values() if each["state"] not in {"ok", "skipped"}] == []
    assert status == 0
    assert found["subscription"]["state"] == found["ledger"]["state"] == "ok"
    assert found["clock"]["state"] == "ok"
    assert main(["doctor", "--seconds", "120"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found)


@pytest.mark.usefixtures("settings", "pushgateway")
def test_missing_resources_are_wrong_and_the_fix_is_provision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, found = examined(capsys)
    assert status == 1
    missing = {name for name, each in found.items() if each["remedy"] == "gatekeeper provision"}
    assert missing == {
        "topic", "dead-letter topic", "subscription", "dead-letter subscription",
        "dataset", "ledger",
    }  # fmt: skip


@pytest.mark.usefixtures("pushgateway")
def test_another_lease_than_the_subscription_has_is_wrong(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["provision"]) == 0
    monkeypatch.setenv("LEASE_SECONDS", str(settings.lease_seconds + 7))
    status, found = examined(capsys)
    assert status == 1
    assert [name for name, each in found.items() if each["state"] == "wrong"] == ["subscription"]
    assert "leases of 60 s, not 67" in found["subscription"]["detail"]
