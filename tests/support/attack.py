"""An attack on a running fleet: every kind of hostile request, batch, key and message together."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PubsubMessage

from ops.rig.disposable_fleet import DisposableFleet
from ops.runtime import clients
from tests.support.hostile import Tally, send
from tests.support.hostile_requests import hostile_request, send_request
from tests.support.server import JSON
from tests.support.stream import delete, insert, transaction

_HOSTILE_CLIENTS = 4
"""Of each kind."""


class Attack:
    """All that a client with a key, and a publisher to the topic, can do at the same time."""

    def __init__(self, fleet: DisposableFleet, key: str, seed: int) -> None:
        self.tally = Tally()
        self.counts: dict[str, int] = {}
        self._key = key
        self._settings = fleet.settings
        self._seed = seed
        self._port = int(fleet.address.rpartition(":")[2])
        self._url = f"http://{fleet.address}"
        self._rng = random.Random(seed)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._publisher = clients.publisher(self._settings)
        headers = authorized(self._key)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            kinds: tuple[Callable[[int, aiohttp.ClientSession], Awaitable[object]], ...] = (
                self._bodies,
                self._requests,
                self._deletes,
                self._batches,
                self._questions,
                self._one_key,
                self._messages,
            )
            tasks = [
                asyncio.create_task(self._repeated(kind, session))
                for kind in kinds
                for _ in range(_HOSTILE_CLIENTS)
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await clients.close(self._publisher)

    async def _repeated(
        self,
        kind: Callable[[int, aiohttp.ClientSession], Awaitable[object]],
        session: aiohttp.ClientSession,
    ) -> None:
        name = kind.__name__.strip("_")
        while True:  # until cancelled
            number = self.counts[name] = self.counts.get(name, 0) + 1
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, GoogleAPICallError):
                await kind(number, session)

    async def _bodies(self, number: int, _: aiohttp.ClientSession) -> None:
        numbers = range(number * 20, number * 20 + 20)
        headers = authorized(self._key)
        await send(self._url, self._seed, numbers, self.tally, 1, headers=headers)

    async def _requests(self, number: int, _: aiohttp.ClientSession) -> None:
        one = hostile_request(self._seed, number)
        key = b"\r\nAuthorization: Bearer " + self._key.encode()
        parts = tuple(
            part.replace(b"\r\nHost: localhost", b"\r\nHost: localhost" + key, 1)
            for part in one.parts
        )
        fault = await send_request(self._port, one._replace(parts=parts))
        if fault:
            self.tally.faults.append(f"request {number}: {fault}")

    async def _deletes(self, number: int, session: aiohttp.ClientSession) -> None:
        gone = transaction(delete(f"missing_{number % 300}", a=number))
        await _posted(session, self._url, json.dumps(gone).encode(), JSON)

    async def _batches(self, number: int, session: aiohttp.ClientSession) -> None:
        line = json.dumps(transaction(insert(f"flood_{number % 5}", n=number))).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        await _posted(session, self._url, b"\n".join([line] * 2_000), headers, "/batch")

    async def _questions(self, number: int, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._url}/api/activities/{number:032x}") as answer:
            await answer.read()

    async def _one_key(self, number: int, session: aiohttp.ClientSession) -> None:
        body = json.dumps(transaction(insert("mine", n=self._rng.randrange(10**9)))).encode()
        headers = {**JSON, "Idempotency-Key": f"key {number % 10}"}
        await _posted(session, self._url, body, headers)

    async def _messages(self, number: int, _: aiohttp.ClientSession) -> None:
        kinds: tuple[dict[str, str], ...] = (
            {"id": "a\0b"},
            {f"a{each}": "x" for each in range(99)},
            {"source": "steady"},
        )
        attributes = self._rng.choice(kinds)
        message = PubsubMessage(data=b"%d" % number, attributes=attributes)
        await self._publisher.publish(topic=self._settings.topic_path, messages=[message])
        await asyncio.sleep(0.2)


async def _posted(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: dict[str, str],
    suffix: str = "",
) -> None:
    async with session.post(f"{url}/api/activities{suffix}", data=body, headers=headers) as answer:
        await answer.read()


def authorized(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
