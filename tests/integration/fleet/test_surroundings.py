"""The services of local mode behind a proxy of the environment, and at IPv6 addresses."""

import asyncio
import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.pubsub_v1 import PubsubMessage

from ops.rig import Service, free_port
from ops.runtime import backlog, clients, direct_http
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings

HOSTS = ("127.0.0.1", "[::1]")
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
           "grpc_proxy")  # fmt: skip


@pytest.fixture(autouse=True)
def _proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a proxy where nothing listens, for this process and the services."""
    for name in PROXIES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


@pytest.fixture(params=HOSTS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    names = ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST")
    variables = {name: f"{request.param}:{free_port()}" for name in names}
    return Settings.parse({**variables, "STATE_DIR": str(tmp_path)})


@pytest.fixture
def services(settings: Settings) -> Iterator[None]:
    variables = {name: os.environ[name] for name in PROXIES} | {
        "PROJECT_ID": "",
        "STATE_DIR": str(settings.state_dir),
        "PUBSUB_EMULATOR_HOST": str(settings.pubsub_emulator_host),
        "BIGQUERY_EMULATOR_HOST": str(settings.bigquery_emulator_host),
        "PUSHGATEWAY_PROMETHEUS_HOST": str(settings.pushgateway_prometheus_host),
    }
    modules = ("ops.local.pubsub", "ops.local.bigquery", "ops.local.pushgateway")
    addresses = list(variables.values())[-3:]
    with (
        Service.module(modules[0], **variables) as pubsub,
        Service.module(modules[1], **variables) as bigquery,
        Service.module(modules[2], **variables) as pushgateway,
    ):
        for service, address in zip((pubsub, bigquery, pushgateway), addresses, strict=True):
            service.wait_for_port(address)
        yield


@pytest.mark.usefixtures("services")
def test_every_service_is_reached(settings: Settings) -> None:
    with clients.warehouse(settings) as client:
        assert [row["a"] for row in query(client, "SELECT 1 AS a", timeout=30)] == [1]
    url = f"http://{settings.pushgateway_prometheus_host}/-/ready"
    with direct_http.open_url(url, 10) as answer:
        assert answer.status == 200
    asyncio.run(_publish(settings))
    assert backlog.read(settings, 10).unacked == 1


async def _publish(settings: Settings) -> None:
    publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
    await publisher.create_topic(name=settings.topic_path, timeout=10)
    await subscriber.create_subscription(
        name=settings.subscription_path, topic=settings.topic_path, timeout=10
    )
    await publisher.publish(
        topic=settings.topic_path, messages=[PubsubMessage(data=b"{}")], timeout=10
    )
    await clients.close(publisher, subscriber)


def test_the_proxy_would_be_used_otherwise() -> None:
    # Not urlopen: it keeps the proxies of its first call until the process ends.
    opener = urllib.request.build_opener()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(OSError, match="refused"):
            opener.open(url, timeout=60)
