"""Webhooks against a real receiver on loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from ops.notify import open_webhooks, sample, secret_of
from ops.notify.notification import Notification
from ops.notify.webhook import AddressCheck
from ops.runtime.settings import Settings

NEW, OLD = "n" * 32, "o" * 32


class FakeReceiver:
    """Keeps what it gets, and answers `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, dict[str, str]]] = []
        self.status = 200
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((await request.read(), dict(request.headers)))
        return web.Response(status=self.status, headers=self.headers, text="x" * 5_000)


@pytest.fixture
def receiver() -> FakeReceiver:
    return FakeReceiver()


@pytest.fixture
async def url(receiver: FakeReceiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/hook"))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "key"
    file.write_text(f"{NEW}\n{OLD}\n")
    return {"NOTIFY_KEY_FILE": str(file), "STATE_DIR": str(tmp_path)}


@pytest.fixture
def one(url: str) -> Notification:
    return sample(url, 0)


CLOUD = {"PROJECT_ID": "my-project", "DATASET_ID": "d", "TOPIC_ID": "topic"}
CLOUD["SUBSCRIPTION_ID"] = "subscription"


async def test_a_receiver_verifies_it_with_the_library_of_the_standard(
    receiver: FakeReceiver, one: Notification, given: dict[str, str]
) -> None:
    async with open_webhooks(Settings.parse(given)) as webhooks:
        reply = await webhooks.send(one)

    assert (reply.status, len(reply.text), reply.is_accepted) == (200, 1_000, True)
    [(body, headers)] = receiver.got
    assert headers["Content-Type"] == "application/cloudevents+json"
    for key in (NEW, OLD):
        event = Webhook(secret_of(one.url, key.encode())).verify(body, headers)
        assert event["id"] == headers["webhook-id"] == one.id
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of("https://other.example", NEW.encode())).verify(body, headers)


@pytest.mark.parametrize("status", [301, 307, 400, 410, 500])
async def test_another_answer_is_not_accepted_and_no_redirect_is_followed(
    receiver: FakeReceiver, one: Notification, given: dict[str, str], status: int
) -> None:
    receiver.status, receiver.headers = status, {"Location": "/elsewhere"}
    async with open_webhooks(Settings.parse(given)) as webhooks:
        reply = await webhooks.send(one)
    assert (reply.status, reply.is_accepted) == (status, False)
    assert len(receiver.got) == 1


async def test_in_the_cloud_neither_plain_http_nor_a_private_address_is_reached(
    receiver: FakeReceiver, one: Notification, given: dict[str, str]
) -> None:
    https = one._replace(url=one.url.replace("http:", "https:"))
    numeric = https._replace(url=https.url.replace("127.0.0.1", "2130706433"))
    named = https._replace(url=https.url.replace("127.0.0.1", "localhost"))
    async with open_webhooks(Settings.parse({**given, **CLOUD})) as webhooks:
        assert "local mode only" in (await webhooks.send(one)).text
        for each in (https, numeric, named):
            reply = await webhooks.send(each)
            assert "is not a " in reply.text, each.url  # public address, or canonical one
    assert receiver.got == []


async def test_with_the_setting_a_private_address_is_reached(
    one: Notification, given: dict[str, str]
) -> None:
    https = one._replace(url=one.url.replace("http:", "https:"))
    allowed = {**given, **CLOUD, "NOTIFY_PRIVATE_ADDRESSES": "1"}
    async with open_webhooks(Settings.parse(allowed)) as webhooks:
        reply = await webhooks.send(https)
    assert "ssl" in reply.text.lower(), "it was connected to, and has no TLS"


async def test_no_receiver_is_a_reply_without_a_status(given: dict[str, str]) -> None:
    async with open_webhooks(Settings.parse(given)) as webhooks:
        reply = await webhooks.send(sample("http://127.0.0.1:1/", 0))
    assert (reply.status, reply.is_accepted) == (0, False)


async def test_without_a_key_nothing_is_sent() -> None:
    with pytest.raises(OSError, match="NOTIFY_KEY_FILE"):
        async with open_webhooks(Settings.parse({})):
            pass


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("fd00::1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:a00:1::", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_only_public_addresses_are_reached(address: str, *, public: bool, private: bool) -> None:
    assert AddressCheck(loopback=False, private=False).allows(address) == public
    assert AddressCheck(loopback=False, private=True).allows(address) == private
