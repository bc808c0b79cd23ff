import asyncio

from ops.fleet.autoscale.ticks import ticks
from ops.rig import eventually


def event(when: int) -> bytes:
    payload = f"when:{when}"
    return (
        f"ver:3.0 server:supervisor serial:21 pool:autoscale poolserial:10 "
        f"eventname:TICK_5 len:{len(payload)}\n{payload}"
    ).encode()


async def test_every_tick_is_taken_and_the_next_asked_for_when_the_work_is_done() -> None:
    source, said, stop = asyncio.StreamReader(), bytearray(), asyncio.Event()
    source.feed_data(event(1005) + event(1010))
    arriving = ticks(source, said.extend, stop)
    assert await anext(arriving) == 1005
    assert said == b"READY\nRESULT 2\nOK"
    assert await anext(arriving) == 1010
    assert said == b"READY\nRESULT 2\nOK" * 2
    await arriving.aclose()


async def test_a_tick_that_arrives_in_pieces_is_read_whole() -> None:
    source, stop = asyncio.StreamReader(), asyncio.Event()
    arriving = ticks(source, lambda _: None, stop)
    tick = asyncio.create_task(anext(arriving))
    for each in event(1005):
        source.feed_data(bytes([each]))
        await asyncio.sleep(0)
    assert await tick == 1005
    await arriving.aclose()


async def test_it_ends_with_supervisord() -> None:
    source, stop = asyncio.StreamReader(), asyncio.Event()
    source.feed_data(event(1005) + b"ver:3.0")
    source.feed_eof()
    assert [tick async for tick in ticks(source, lambda _: None, stop)] == [1005]


async def test_a_stop_ends_it_while_it_waits() -> None:
    source, said, stop = asyncio.StreamReader(), bytearray(), asyncio.Event()

    async def take() -> list[int]:
        return [tick async for tick in ticks(source, said.extend, stop)]

    taking = asyncio.create_task(take())
    await eventually(lambda: bool(said))
    stop.set()
    assert await taking == []
