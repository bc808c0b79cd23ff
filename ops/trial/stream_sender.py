"""Sends the streams over HTTP, as a client shall: in order, and again until there is an answer."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from typing import Self

import aiohttp

from ops.trial.journal import ACCEPTED, Journal, Key, id_of
from ops.trial.stream import Step, Stream
from ops.trial.trial_load import steps

REQUEST_SECONDS = 5.0
"""For one try: then the client takes another connection, to another server perhaps."""
STEP_SECONDS = 180.0
"""For all tries of a request; a stream whose request has no answer by then ends."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_REFUSED = 400
_NO_ANSWER = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class _Again(Exception):
    """No answer that settles anything; the text names what came instead."""


class Tally:
    """What the clients saw. Times are seconds."""

    def __init__(self) -> None:
        self.accepted: set[Key] = set()
        self.refused = 0
        self.repeated = 0
        self.errors: Counter[str] = Counter()
        self.slowest_seconds = 0.0
        self.slowest_step_seconds = 0.0
        self.surprises: list[str] = []
        """Answers that no fault excuses: another id, a verdict that is not what the rule says."""


class Sender:
    """Clients of one gate; `keys` are the API keys of the sources."""

    def __init__(
        self, address: str, keys: Mapping[str, str], journal: Journal, tally: Tally
    ) -> None:
        self._address = address
        self._keys = keys
        self._journal = journal
        self._tally = tally
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        for source, key in self._keys.items():
            self._sessions[source] = aiohttp.ClientSession(
                f"http://{self._address}",
                headers={"Authorization": f"Bearer {key}"},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def run(
        self,
        streams: Iterable[Stream],
        pace: Callable[[], Awaitable[None]],
        progressed: Callable[[], None],
    ) -> None:
        """Send all streams side by side; `pace` is awaited before each request."""

        async def one(stream: Stream) -> None:
            for step in steps(stream):
                await pace()
                try:
                    await self.send(step)
                except TimeoutError:
                    self._tally.surprises.append(
                        f"{step.stream} {step.number} ({step.kind}): none in {STEP_SECONDS:g} s"
                    )
                    return  # what is not answered may not be overtaken
                progressed()

        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(one(stream), name=stream.name)

    async def send(self, step: Step) -> None:
        """Send one request until it is answered; raises TimeoutError after STEP_SECONDS."""
        self._journal.sent(step)
        started = time.monotonic()
        pause = _FIRST_PAUSE
        async with asyncio.timeout(STEP_SECONDS):
            while True:
                asked = time.monotonic()
                try:
                    statuses = await self._post(step)
                    break
                except _Again as error:
                    self._tally.errors[str(error)] += 1
                except _NO_ANSWER as error:
                    self._tally.errors[type(error).__name__] += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        now = time.monotonic()
        self._journal.answered(step, statuses)
        self._note(step, statuses, now - asked, now - started)

    async def _post(self, step: Step) -> list[int]:
        headers = {"Idempotency-Key": step.key}
        if step.ordering_key:
            headers["Ordering-Key"] = step.ordering_key
        path, kind = "/api/activities", "application/json"
        if step.batch:
            path, kind = "/api/activities/batch", "application/x-ndjson"
        async with self._sessions[step.source].post(
            path, data=b"\n".join(step.bodies), headers={**headers, "Content-Type": kind}
        ) as answer:
            text = await answer.read()
            if answer.status not in {ACCEPTED, _REFUSED}:
                raise _Again(f"{answer.status} {answer.reason}")
        try:
            verdict = json.loads(text)
            verdicts = verdict["results"] if step.batch else [verdict]
            found = [(int(each["status"]), each["id"]) for each in verdicts]
        except (ValueError, KeyError, TypeError):
            raise _Again(f"{answer.status} without a verdict") from None
        if any(status not in {ACCEPTED, _REFUSED} for status, _ in found):
            raise _Again("a line of a batch not accepted")
        self._check(step, found)
        return [status for status, _ in found]

    def _check(self, step: Step, found: list[tuple[int, str | None]]) -> None:
        expected = [
            (ACCEPTED, id_of(step, place)) if valid else (_REFUSED, None)
            for place, valid in enumerate(step.valid)
        ]
        if found != expected:
            self._tally.surprises.append(
                f"{step.stream} {step.number} ({step.kind}): {found}, not {expected}"
            )

    def _note(self, step: Step, statuses: list[int], last: float, whole: float) -> None:
        tally = self._tally
        for place, status in enumerate(statuses):
            if status == ACCEPTED and step.repeats:
                tally.repeated += 1
            elif status == ACCEPTED:
                digest = sha256(step.bodies[place]).hexdigest()
                tally.accepted.add((id_of(step, place), digest))
            else:
                tally.refused += 1
        tally.slowest_seconds = max(tally.slowest_seconds, last)
        tally.slowest_step_seconds = max(tally.slowest_step_seconds, whole)
