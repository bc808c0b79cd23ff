"""Bodies in memory are bounded together, not only one by one."""

import asyncio
import gzip

from ops.rig import eventually
from tests.support.server_in_process import RAW_POST, VALID, FakeTopic, in_process_server

BODY = VALID + b" " * (2_000_000 - len(VALID))
ZIPPED = gzip.compress(BODY)
LIMITS = {"MAX_BODY_BYTES": "2000000", "MAX_IN_FLIGHT_BYTES": "5000000"}


async def test_too_many_bytes_in_flight_are_refused_and_later_ones_accepted(
    topic: FakeTopic,
) -> None:
    topic.open.clear()
    async with in_process_server(topic, **LIMITS) as server:
        waiting = [
            asyncio.create_task(server.post(ZIPPED, Content_Encoding="gzip")) for _ in range(2)
        ]
        await eventually(lambda: topic.under_way)

        async def full() -> bool:
            status, verdict = await server.post(ZIPPED, Content_Encoding="gzip")
            return (status, verdict["message"]) == (503, "Unavailable")

        await eventually(full)
        assert (await server.post(VALID, "/api/activities/validate"))[0] == 200

        topic.open.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
        for _ in range(3):  # no bytes are still counted
            assert (await server.post(ZIPPED, Content_Encoding="gzip"))[0] == 200


async def test_a_client_that_leaves_gives_its_bytes_back(topic: FakeTopic) -> None:
    async with in_process_server(topic, **LIMITS) as server:
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = RAW_POST + b"Content-Length: 2000000\r\n\r\n"
            writer.write(head + BODY[:-1])
            await writer.drain()
            writer.transport.abort()

        async def taken() -> bool:
            return (await server.post(ZIPPED, Content_Encoding="gzip"))[0] == 200

        await eventually(taken)
