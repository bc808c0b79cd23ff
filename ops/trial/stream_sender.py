"""Sends the streams over HTTP as a client must: in order, each request until it is answered."""

import asyncio
import itertools
import json
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

import aiohttp

from ops.trial.client_stream import ClientStream, Step
from ops.trial.journal import ACCEPTED, Journal, SentKey
from ops.trial.load_plan import steps

REQUEST_SECONDS = 5.0
"""For one try; the next one has a new connection, perhaps to another server."""
STEP_SECONDS = 180.0
"""For all tries of a request; a stream whose request has no answer by then ends."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_INVALID = 400
_CONFLICT = 409
_NO_ANSWER = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class _Retry(Exception):
    """An answer that does not settle the request; the text names it."""


@dataclass
class LoadCounts:
    """What the clients received. Times are in seconds."""

    accepted: set[SentKey] = field(default_factory=set)
    refused: int = 0
    repeated: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    slowest_step_seconds: float = 0.0
    surprises: list[str] = field(default_factory=list)
    """Answers that no fault excuses: another id, a wrong verdict."""


@dataclass(eq=False)
class StreamSender:
    """The clients of some servers; `keys` are the API keys of the sources.

    A stream sends to one address alone. A machine that cannot reach Pub/Sub has accepted
    transactions in its spool, and another one does not wait for them.
    """

    addresses: Sequence[str]
    keys: Mapping[str, str]
    journal: Journal
    counts: LoadCounts
    _sessions: dict[tuple[str, str], aiohttp.ClientSession] = field(
        default_factory=dict, init=False
    )

    async def __aenter__(self) -> Self:
        for address, source in itertools.product(self.addresses, self.keys):
            self._sessions[address, source] = aiohttp.ClientSession(
                f"http://{address}",
                headers={"Authorization": f"Bearer {self.keys[source]}"},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def run(
        self,
        streams: Iterable[ClientStream],
        pace: Callable[[], Awaitable[None]],
        on_progress: Callable[[], None],
    ) -> None:
        """Send all streams in parallel; `pace` is awaited before each request."""

        async def run_stream(stream: ClientStream) -> None:
            for step in steps(stream):
                await pace()
                try:
                    await self.send(step)
                except TimeoutError:
                    self._surprise(step, f"no answer in {STEP_SECONDS:g} s")
                    return  # no later request may overtake it
                on_progress()

        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(run_stream(stream), name=stream.name)

    async def send(self, step: Step) -> None:
        """Send one request until it is answered; raises TimeoutError after STEP_SECONDS."""
        self.journal.sent(step)
        started = time.monotonic()
        pause = _FIRST_PAUSE
        async with asyncio.timeout(STEP_SECONDS):
            while True:
                tried = time.monotonic()
                try:
                    statuses = await self._post(step)
                    break
                except _Retry as error:
                    self.counts.errors[str(error)] += 1
                except _NO_ANSWER as error:
                    self.counts.errors[type(error).__name__] += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        now = time.monotonic()
        self.journal.answered(step, statuses)
        self._count(step, statuses)
        counts = self.counts
        counts.slowest_seconds = max(counts.slowest_seconds, now - tried)
        counts.slowest_step_seconds = max(counts.slowest_step_seconds, now - started)

    async def _post(self, step: Step) -> list[int]:
        """Try a request once; return the status of each body."""
        headers = {"Idempotency-Key": step.key, "Content-Type": "application/json"}
        path = "/api/activities"
        if step.ordering_key:
            headers["Ordering-Key"] = step.ordering_key
        if step.batch:
            headers["Content-Type"] = "application/x-ndjson"
            path += "/batch"
        address = self.addresses[zlib.crc32(step.stream.encode()) % len(self.addresses)]
        session = self._sessions[address, step.source]
        async with session.post(path, data=b"\n".join(step.bodies), headers=headers) as answer:
            text = await answer.read()
        if answer.status not in {ACCEPTED, _INVALID, _CONFLICT}:
            raise _Retry(f"{answer.status} {answer.reason}")
        try:
            verdict = json.loads(text)
            verdicts = verdict["results"] if step.batch else [verdict]
            found = [(int(each["status"]), each["id"]) for each in verdicts]
        except (ValueError, KeyError, TypeError):
            raise _Retry(f"{answer.status} without a verdict") from None
        final = {ACCEPTED, _INVALID}
        if step.kind == "idempotency_conflict":
            final.add(_CONFLICT)
        if any(status not in final for status, _ in found):
            raise _Retry("a line of a batch not accepted")
        self._check(step, found)
        return [status for status, _ in found]

    def _check(self, step: Step, found: list[tuple[int, str | None]]) -> None:
        expected = [
            (ACCEPTED, self.journal.id_of(step, place)) if valid else (_INVALID, None)
            for place, valid in enumerate(step.valid)
        ]
        if step.kind == "idempotency_conflict" and found == [(_CONFLICT, None)]:
            return  # a server of another machine may accept it: then the workers reject it
        if found != expected:
            self._surprise(step, f"{found}, not {expected}")

    def _surprise(self, step: Step, text: str) -> None:
        self.counts.surprises.append(f"{step.stream} {step.number} ({step.kind}): {text}")

    def _count(self, step: Step, statuses: list[int]) -> None:
        for place, status in enumerate(statuses):
            if status != ACCEPTED:
                self.counts.refused += 1
            elif step.repeats:
                self.counts.repeated += 1
            else:
                digest = sha256(step.bodies[place]).hexdigest()
                self.counts.accepted.add((self.journal.id_of(step, place), digest))
