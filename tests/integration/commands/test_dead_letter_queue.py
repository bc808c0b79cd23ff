import asyncio
import contextlib

from google.pubsub_v1 import PubsubMessage

from ops.commands.__main__ import main
from ops.runtime import clients
from ops.runtime.settings import Settings
from ops.trial.dead_letter_queue import opened


def test_an_audit_reads_every_dead_letter_and_removes_none(settings: Settings) -> None:
    assert main(["provision"]) == 0

    async def publish(*ids: str) -> None:
        client = clients.publisher(settings)
        attributes = {"reason": "table_missing", "error": "because", "source": "shop"}
        messages = [PubsubMessage(data=b"1", attributes={"id": id_, **attributes}) for id_ in ids]
        await client.publish(topic=settings.dead_letter_topic_path, messages=messages)
        await clients.close(client)

    async def read(limit: int, error: type[Exception] | None = None) -> tuple[int, bool]:
        async with opened(settings) as queue:
            found = await queue.pull(limit, 0.2)
            if error:
                raise error
            return len(found), queue.more

    asyncio.run(publish("a1", "a2", "a3"))
    with contextlib.suppress(ZeroDivisionError):
        asyncio.run(read(10, ZeroDivisionError))
    assert asyncio.run(read(10)) == (3, False)
    assert asyncio.run(read(2)) == (2, True)
