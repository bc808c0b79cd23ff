"""Bodies in memory are bounded together, not only one by one."""

import asyncio
import gzip

from tests.support.processes import eventually
from tests.support.server_in_process import VALID, FakeTopic, gate_under_test

BODY = VALID + b" " * (2_000_000 - len(VALID))
ZIPPED = gzip.compress(BODY)
LIMITS = {"MAX_BODY_BYTES": "2000000", "MAX_IN_FLIGHT_BYTES": "5000000"}


async def test_past_the_bytes_in_flight_bodies_are_refused_and_then_taken_again(
    topic: FakeTopic,
) -> None:
    topic.open.clear()
    async with gate_under_test(topic, **LIMITS) as gate:
        waiting = [
            asyncio.create_task(gate.post(ZIPPED, Content_Encoding="gzip")) for _ in range(2)
        ]
        await eventually(lambda: topic.under_way)

        async def full() -> bool:
            status, verdict = await gate.post(ZIPPED, Content_Encoding="gzip")
            return (status, verdict["message"]) == (503, "Unavailable")

        await eventually(full)
        assert (await gate.post(VALID, "/api/activities/validate"))[0] == 200

        topic.open.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
        for _ in range(3):  # nothing has been left counted
            assert (await gate.post(ZIPPED, Content_Encoding="gzip"))[0] == 200


async def test_a_client_that_leaves_gives_its_bytes_back(topic: FakeTopic) -> None:
    async with gate_under_test(topic, **LIMITS) as gate:
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            head = b"POST /api/activities HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
            writer.write(head + BODY[:-1])
            await writer.drain()
            writer.transport.abort()

        async def taken() -> bool:
            return (await gate.post(ZIPPED, Content_Encoding="gzip"))[0] == 200

        await eventually(taken)
