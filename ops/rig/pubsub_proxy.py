"""A proxy in front of Pub/Sub that injects the faults of a network and of the service.

Calls pass as raw bytes. Deliveries and acks are decoded to follow what subscribers hold. Deliveries
are changed only while a fault is active, requests only if they contain the ack id of a copy.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import grpc

from ops.rig import redeliveries
from ops.rig.fault_proxy import FaultProxy
from ops.rig.held_messages import HeldMessages, OpenStream
from ops.runtime.clients import NO_PROXY

DELAY_SECONDS = 0.4
"""The longest pause of one call or one response; a unary call has a deadline of some seconds."""
HOLD_SECONDS = 0.2
"""The longest time that reordered messages are held back, a small part of any lease."""

_ACKNOWLEDGE: Final = "/google.pubsub.v1.Subscriber/Acknowledge"
_STREAMS: Final = frozenset({"/google.pubsub.v1.Subscriber/StreamingPull"})
# Calls whose unknown outcome makes a difference to the client.
_ANSWERS_WORTH_LOSING: Final = frozenset(
    {
        "/google.pubsub.v1.Publisher/Publish",
        _ACKNOWLEDGE,
        "/google.pubsub.v1.Subscriber/ModifyAckDeadline",
    }
)
# Texts of the service: https://cloud.google.com/pubsub/docs/reference/error-codes.
_STATUSES: Final = {
    "exhausted": (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric."),
    "internal": (grpc.StatusCode.INTERNAL, "An internal error has occurred."),
    "unavailable": (
        grpc.StatusCode.UNAVAILABLE,
        "The service was unable to fulfill your request. Please try again.",
    ),
}
_LOST: Final = (grpc.StatusCode.UNAVAILABLE, "Socket closed")
_LIMITS: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_SERVER_OPTIONS: Final = [
    *_LIMITS,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
_CHANNEL_OPTIONS: Final = [
    *_LIMITS,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),  # the client retries
    ("grpc.use_local_subchannel_pool", 1),
]


class PubSubProxy(FaultProxy, grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """The fault proxy in front of Pub/Sub; the last three faults hit responses.

    `deliver_to_two` delivers messages to two subscribers at the same instant: proxies with the same
    `held` find the other one on another machine.
    """

    FAULTS = (
        *("delay", "refuse", "reset", *_STATUSES, "lose_answer"),
        *("duplicate", "reorder", "deliver_to_two"),
    )

    def __init__(self, listen: str, upstream: str, held: HeldMessages | None = None) -> None:
        super().__init__(listen, upstream)
        self._held = held or HeldMessages()
        self._open: set[asyncio.Future[tuple[grpc.StatusCode, str]]] = set()
        self._channel: Any = None
        self._server: Any = None

    async def start(self) -> None:
        """Serve; raises OSError when the address is not available."""
        self._channel = grpc.aio.insecure_channel(self._upstream, [*_CHANNEL_OPTIONS, NO_PROXY])
        self._server = grpc.aio.server(options=_SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        await self.front.open(port)

    async def stop(self) -> None:
        """Reset every connection and close the port."""
        await self.front.stop()
        await self._server.stop(None)
        await self._channel.close()

    def _begin(self, fault: str) -> None:
        """End the open streams with the status of the fault."""
        if fault == "deliver_to_two":
            self._held.begin()
        for ended in self._open if fault in _STATUSES else ():
            if not ended.done():
                ended.set_result(_STATUSES[fault])
                self.hits[fault] += 1

    def service(self, details: Any) -> Any:
        """Return the handler of every method: bytes in, bytes out."""
        method = details.method

        async def unary(request: bytes, context: Any) -> bytes:
            return await self._unary(method, request, context)

        async def stream(requests: Any, context: Any) -> None:
            await self._stream(method, requests, context)

        if method in _STREAMS:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _status(self) -> tuple[grpc.StatusCode, str] | None:
        """Return the status that this call gets instead of being forwarded, if any."""
        return next((of for name, of in _STATUSES.items() if self._hit(name)), None)

    async def _unary(self, method: str, request: bytes, context: Any) -> bytes:
        if status := self._status():
            await context.abort(*status)
        known = redeliveries.without_copies(method, request)
        if known is None:
            return b""
        request = known
        if method == _ACKNOWLEDGE:
            self._held.acked(redeliveries.acked_ids(request))
        if pause := self._delay(DELAY_SECONDS) / 2:
            await asyncio.sleep(pause)
        call = self._channel.unary_unary(method)(
            request, timeout=context.time_remaining(), metadata=_metadata(context)
        )
        try:
            answer: bytes = await call
        except grpc.aio.AioRpcError as error:
            await _pass_on(error, context)
            raise AssertionError("abort raises") from None
        if method in _ANSWERS_WORTH_LOSING and self._hit("lose_answer"):
            await context.abort(*_LOST)
        if pause:
            await asyncio.sleep(pause)
        return answer

    async def _stream(self, method: str, requests: Any, context: Any) -> None:
        if status := self._status():
            await context.abort(*status)
        call = self._channel.stream_stream(method)(
            timeout=context.time_remaining(), metadata=_metadata(context)
        )
        ended: asyncio.Future[tuple[grpc.StatusCode, str]] = (
            asyncio.get_running_loop().create_future()
        )
        self._open.add(ended)
        asking = asyncio.create_task(_forward_requests(method, requests, call), name="requests")
        answering = asyncio.create_task(self._deliver(call, context), name="responses")
        try:
            either: set[asyncio.Future[Any]] = {answering, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(ended)
            asking.cancel()
            answering.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
            call.cancel()
        if ended.done():
            await context.abort(*ended.result())
        failure = None if answering.cancelled() else answering.exception()
        if isinstance(failure, ExceptionGroup):  # of the task group that holds responses back
            failure = failure.exceptions[0]
        if isinstance(failure, grpc.aio.AioRpcError):
            await _pass_on(failure, context)
        elif failure is not None:
            raise failure

    async def _deliver(self, call: Any, context: Any) -> None:
        """Forward the responses; those held back are sent in between, one write at a time."""
        one_at_a_time = asyncio.Lock()

        async def write(responses: Sequence[bytes], after: float = 0.0) -> None:
            if after:
                await asyncio.sleep(after)
            async with one_at_a_time:
                for response in responses:
                    await context.write(response)

        async with asyncio.TaskGroup() as held_back:
            stream = OpenStream(self, lambda copy: held_back.create_task(write([copy])))
            with self._held.open(stream):
                async for response in call:
                    messages = redeliveries.received_messages(response)
                    self._held.delivered(messages)
                    if self._active["deliver_to_two"]:
                        self.hits["deliver_to_two"] += self._held.copy(stream, messages)
                    if pause := self._delay(DELAY_SECONDS):
                        await asyncio.sleep(pause)
                    now, later = self._changed(response)
                    await write(now)
                    if later is not None:
                        hold = self._random.uniform(0, HOLD_SECONDS)
                        held_back.create_task(write([later], hold))

    def _changed(self, response: bytes) -> tuple[list[bytes], bytes | None]:
        """Return what is sent in place of this response: now, and a little later."""
        later = None
        if self._active["reorder"]:
            reordered, later = redeliveries.reordered(response, self._random)
            if later is not None or reordered != response:
                self.hits["reorder"] += 1
            response = reordered
        if self._hit("duplicate"):
            return [response, redeliveries.copied(response)], later
        return [response], later


async def _forward_requests(method: str, requests: Any, call: Any) -> None:
    """Forward the requests until the client has sent its last one."""
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        async for request in requests:  # the reader of the responses gets the reason
            await call.write(redeliveries.without_copies(method, request) or request)
        await call.done_writing()


async def _pass_on(error: grpc.aio.AioRpcError, context: Any) -> None:
    context.set_trailing_metadata(_own(error.trailing_metadata()))
    await context.abort(error.code(), error.details() or "")


def _metadata(context: Any) -> tuple[tuple[str, str | bytes], ...]:
    return _own(context.invocation_metadata())


def _own(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Return the application's part: the transport adds the rest again."""
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if not key.startswith((":", "grpc-")) and key not in {"user-agent", "te", "content-type"}
    )
