"""The composition root: store, broker and services on one gRPC port."""

import asyncio
from pathlib import Path

import grpc
from google.protobuf import struct_pb2, wrappers_pb2

from ops.local.pubsub.broker import Broker
from ops.local.pubsub.message_store import MessageStore
from ops.local.pubsub.publisher_service import PublisherService
from ops.local.pubsub.request_checks import MAX_REQUEST_BYTES
from ops.local.pubsub.rpc_handlers import Unimplemented, unary
from ops.local.pubsub.subscriber_service import SubscriberService

BACKLOG_SERVICE = "gatekeeper.local.v1.Backlog"
_OPTIONS = [
    # Two servers must not share a port unnoticed.
    ("grpc.so_reuseport", 0),
    # Above the limit, so that `check_publish` refuses a request that is too large, with its reason.
    ("grpc.max_receive_message_length", 2 * MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    # Clients ping idle streams; gRPC's default treats more than one in 5 minutes as an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
_GRACE_SECONDS = 2.0


async def serve(address: str, directory: Path, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises `InUse` or `OSError` at the start."""
    store = MessageStore(directory)
    try:
        broker = Broker(store)
        await broker.load()
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(handlers(broker))
        _bind(server, address)
        await server.start()
        await stop.wait()
        await broker.close()
        await server.stop(_GRACE_SECONDS)
    finally:
        await store.close()


def _bind(server: grpc.aio.Server, address: str) -> None:
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from None


def handlers(broker: Broker) -> list[grpc.GenericRpcHandler]:
    """Return the handlers of every service."""

    async def backlog(request: wrappers_pb2.StringValue, _: object) -> struct_pb2.Struct:
        unacked, age = await broker.backlog(request.value)
        answer = struct_pb2.Struct()
        answer.update({"unacked": unacked, "oldest_age_seconds": age})
        return answer

    services = {
        PublisherService.NAME: PublisherService(broker).methods(),
        SubscriberService.NAME: SubscriberService(broker).methods(),
        BACKLOG_SERVICE: {"Get": unary(backlog, wrappers_pb2.StringValue)},
    }
    served = [grpc.method_handlers_generic_handler(name, of) for name, of in services.items()]
    return [*served, Unimplemented()]
