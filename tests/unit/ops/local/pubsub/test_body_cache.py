from collections.abc import Sequence
from typing import cast

from ops.local.pubsub.body_cache import BodyCache
from ops.local.pubsub.message_store import MessageRow, MessageStore


class Disk:
    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    async def bodies(self, seqs: Sequence[int]) -> dict[int, bytes]:
        self.asked.append(list(seqs))
        return dict.fromkeys(seqs, b"disk")


def row(seq: int) -> MessageRow:
    return MessageRow(seq, 0, "", b"memory")


async def test_recent_bodies_come_from_memory_and_old_ones_from_disk() -> None:
    disk = Disk()
    bodies = BodyCache(cast("MessageStore", disk), max_bytes=2 * len(b"memory"))
    bodies.add([row(1), row(2), row(3)])
    assert await bodies.read([3, 2]) == {3: b"memory", 2: b"memory"}
    assert disk.asked == []
    assert await bodies.read([1, 3]) == {1: b"disk", 3: b"memory"}
    assert disk.asked == [[1]]
