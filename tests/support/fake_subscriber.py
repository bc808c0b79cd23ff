"""A subscriber client in memory: the calls that `workers.subscription` makes, failing on demand."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

import grpc
from google.pubsub_v1 import StreamingPullRequest, StreamingPullResponse

from tests.support.deliveries import PUBLISHED_AT


def response(
    *messages: tuple[str, bytes], ordering_key: str = "lane-01", source: str = ""
) -> StreamingPullResponse:
    """Return what the service streams: ack ids and data."""
    return StreamingPullResponse(
        received_messages=[
            {
                "ack_id": ack_id,
                "message": {
                    "data": data,
                    "message_id": f"m-{ack_id}",
                    "attributes": {"id": ack_id} | ({"source": source} if source else {}),
                    "publish_time": PUBLISHED_AT,
                    "ordering_key": ordering_key,
                },
            }
            for ack_id, data in messages
        ]
    )


def broken(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    """Return what a stream raises when it breaks."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "broken")


class FakeSubscriber:
    """Streams what is put into `stream`: responses, or an exception that breaks the stream.

    `acked` and `modified` are the calls that succeeded; `failures` are raised first, one a call.
    """

    def __init__(self) -> None:
        self.stream: asyncio.Queue[StreamingPullResponse | Exception] = asyncio.Queue()
        self.opened: list[StreamingPullRequest] = []
        self.acked: list[list[str]] = []
        self.modified: list[tuple[list[str], int]] = []
        self.failures: list[Exception] = []

    @property
    def nacked(self) -> set[str]:
        """The ack ids that were given back."""
        return {each for ack_ids, seconds in self.modified if seconds == 0 for each in ack_ids}

    @property
    def all_acked(self) -> list[str]:
        """The ack ids that were acknowledged, in order."""
        return [each for ack_ids in self.acked for each in ack_ids]

    @property
    def transport(self) -> Self:
        """The client's transport, which has the stream."""
        return self

    async def streaming_pull(
        self, requests: AsyncIterator[StreamingPullRequest]
    ) -> AsyncIterator[StreamingPullResponse]:
        self.opened.append(await anext(requests))
        while True:
            item = await self.stream.get()
            if isinstance(item, Exception):
                raise item
            yield item

    async def acknowledge(self, *, ack_ids: Iterable[str], **_how: Any) -> None:
        self._fail()
        self.acked.append(list(ack_ids))

    async def modify_ack_deadline(
        self, *, ack_ids: Iterable[str], ack_deadline_seconds: int, **_how: Any
    ) -> None:
        self._fail()
        self.modified.append((list(ack_ids), ack_deadline_seconds))

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
