import asyncio

from ops.rig import eventually
from ops.trial.backlog_watch import BacklogWatch
from ops.trial.fleet_reader import Unreachable


class _Answers:
    """A backlog that is answered from a queue; None: it cannot be read."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[int | None] = asyncio.Queue()

    async def backlog(self) -> int:
        found = await self.answers.get()
        if found is None:
            raise Unreachable
        return found


async def test_the_fleet_is_behind_while_more_messages_wait_than_the_limit() -> None:
    source = _Answers()
    watch = BacklogWatch(source, 10, pause=0.0)

    async with watch.running():
        source.answers.put_nowait(11)
        await eventually(lambda: watch.is_behind, 60, "it is behind")
        source.answers.put_nowait(None)
        await eventually(source.answers.empty, 60, "the failure is met")
        assert watch.is_behind
        source.answers.put_nowait(10)
        await eventually(lambda: not watch.is_behind, 60, "it is not behind")
