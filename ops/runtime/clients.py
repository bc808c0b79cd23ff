"""Google's clients, cloud or local: only the endpoint and the credentials differ.

The Pub/Sub clients hold a channel of the running event loop: make them inside it. The BigQuery
client blocks: call it from a thread. Each library is imported where it is used, so that a command
for one service does not wait for the import of the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.runtime import credentials, local_secret

if TYPE_CHECKING:
    from google.cloud import bigquery
    from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient

    from ops.runtime.settings import Settings

# A pulled response may be larger than a publish request (10 MB).
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
]
_WAREHOUSE_CONNECTIONS = 256
"""Kept open, at most: WAREHOUSE_JOBS at its highest."""
NO_PROXY = ("grpc.enable_http_proxy", 0)
"""For the channel to an emulator: gRPC obeys `grpc_proxy` and the like also for loopback."""


def _transport_arguments(settings: Settings) -> dict[str, Any]:
    import grpc  # noqa: PLC0415

    if settings.pubsub_emulator_host is None:
        return {"credentials": credentials.find(settings)}
    options = [*_CHANNEL_OPTIONS, NO_PROXY]
    return {"channel": grpc.aio.insecure_channel(settings.pubsub_emulator_host, options)}


def publisher(settings: Settings) -> PublisherAsyncClient:
    from google.pubsub_v1 import PublisherAsyncClient  # noqa: PLC0415

    transport = PublisherAsyncClient.get_transport_class("grpc_asyncio")
    return PublisherAsyncClient(transport=transport(**_transport_arguments(settings)))


def subscriber(settings: Settings) -> SubscriberAsyncClient:
    from google.pubsub_v1 import SubscriberAsyncClient  # noqa: PLC0415

    transport = SubscriberAsyncClient.get_transport_class("grpc_asyncio")
    return SubscriberAsyncClient(transport=transport(**_transport_arguments(settings)))


async def close(*opened: PublisherAsyncClient | SubscriberAsyncClient) -> None:
    for client in opened:
        await client.transport.close()  # type: ignore[no-untyped-call]


def warehouse(settings: Settings) -> bigquery.Client:
    """Return a BigQuery client; threads may share it for jobs and look-ups."""
    from google.cloud import bigquery  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    if settings.bigquery_emulator_host is None:
        found = credentials.find(settings)
        client = bigquery.Client(project=settings.project_id, credentials=found)
    else:
        token = local_secret.read_or_create(settings.state_dir, local_secret.BIGQUERY_FILE)
        address = settings.bigquery_emulator_host
        client = emulated_warehouse(settings.project_id, address, token)
    # Otherwise ten are kept: googleapis/google-cloud-python issue 8449.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=_WAREHOUSE_CONNECTIONS))  # noqa: SLF001
    return client


def emulated_warehouse(project: str, address: str, token: str | None) -> bigquery.Client:
    """Return a client of the BigQuery emulator at `host:port`; it never uses a proxy."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415
    from google.cloud import bigquery  # noqa: PLC0415
    from google.oauth2.credentials import Credentials  # noqa: PLC0415

    found = Credentials(token) if token else AnonymousCredentials()
    session = AuthorizedSession(found)
    session.trust_env = False  # requests obeys HTTP_PROXY and ALL_PROXY also for loopback
    return bigquery.Client(
        project=project,
        credentials=found,
        client_options={"api_endpoint": f"http://{address}"},
        _http=session,
    )
