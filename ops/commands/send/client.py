"""Posts transactions to the server: lines of one ordering key in order, others side by side."""

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp
import tenacity

from ops.commands.send.source import MAX_LINE_BYTES, Line, idempotency_key

REQUEST_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 10.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
WINDOW = 8
"""Lines read ahead for each request in flight: so many wait in memory for their turn."""

# The line is refused for what it is; the next may be good.
_REJECTED = {400, 413, 415, 422}
# The server, or a proxy before it, cannot now. 500 too: with an Idempotency-Key it is safe.
_PASSING = {408, 429, 500, 502, 503, 504}
_NO_ANSWER = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class CannotSend(Exception):
    """The run ends here; the text says why."""


class Verdict(NamedTuple):
    """The server's answer to one line; `error` is None when it was accepted."""

    status: int
    message: str
    error: Any


class _Busy(Exception):
    """Not accepted now; to be sent again, not before `retry_after` seconds have passed."""

    def __init__(self, why: str, retry_after: float) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Sender:
    """One run. `told` hears every line's verdict; `retried` every try that did not succeed."""

    def __init__(  # noqa: PLR0913  # all keyword-only
        self,
        session: aiohttp.ClientSession,
        *,
        run: str,
        ordering_key: str | None,
        concurrency: int,
        patience: float,
        told: Callable[[Line, Verdict], None],
        retried: Callable[[str], None],
    ) -> None:
        self._session = session
        self._run = run
        self._ordering_key = ordering_key
        self._posts = asyncio.Semaphore(concurrency)
        self._window = asyncio.Semaphore(concurrency * WINDOW)
        self._patience = patience
        self._told = told
        self._retried = retried
        self._last_of: dict[str, asyncio.Task[None]] = {}

    async def send(self, lines: Iterable[Line]) -> None:
        """Send all lines; raises `CannotSend` at the first that can be neither sent nor refused.

        A line waits for the one before it of its ordering key, so that one's retries hold it up,
        and nothing overtakes a line that could not be sent.
        """
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for line in lines:
                    await self._window.acquire()
                    lane = self._ordering_key or line.lane()
                    task = group.create_task(self._deliver(line, self._last_of.get(lane)))
                    self._last_of[lane] = task
                    task.add_done_callback(functools.partial(self._leave, lane))
        except* CannotSend as several:
            failed = several.exceptions[0]
        if failed is not None:
            raise failed

    def _leave(self, lane: str, task: asyncio.Task[None]) -> None:
        self._window.release()
        if self._last_of.get(lane) is task:
            del self._last_of[lane]

    async def _deliver(self, line: Line, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
            if before.cancelled() or before.exception():
                return  # it ends the run; nothing of its key may go past it
        async with self._posts:
            self._told(line, await self._settle(line))

    async def _settle(self, line: Line) -> Verdict:
        if line.body is None:
            return Verdict(413, "Payload Too Large", f"the line exceeds {MAX_LINE_BYTES:,} bytes")
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type((_Busy, *_NO_ANSWER)),
            stop=tenacity.stop_after_delay(self._patience),
            wait=_wait,
            before_sleep=self._note,
            reraise=True,
        )
        try:
            return await retrying(self._post, line.number, line.body)
        except (_Busy, *_NO_ANSWER) as error:
            raise CannotSend(f"line {line.number}: {_said(error)}") from error

    def _note(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._retried(_said(error))

    async def _post(self, number: int, body: bytes) -> Verdict:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key(self._run, number),
        }
        if self._ordering_key:
            headers["Ordering-Key"] = self._ordering_key
        async with self._session.post(
            "/api/activities", data=body, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.read()
            if answer.status in _PASSING:
                raise _Busy(
                    f"the server answers {answer.status} {answer.reason}",
                    retry_after(answer.headers.get("Retry-After")),
                )
            return _verdict(number, answer.status, text)


def _verdict(number: int, status: int, text: bytes) -> Verdict:
    try:
        answer = json.loads(text)
        verdict = Verdict(status, str(answer["message"]), answer["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CannotSend(f"line {number}: {status}, and no verdict: is this Gatekeeper?") from None
    if status == 200 or status in _REJECTED:  # noqa: PLR2004
        return verdict
    if status == 401:  # noqa: PLR2004
        raise CannotSend("the API key is missing or wrong: --key-file or GATEKEEPER_API_KEY")
    raise CannotSend(f"line {number}: {status} {verdict.message}: see --url")


_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT_SECONDS)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait longer each time, and never less than the server asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _Busy) else 0.0
    return max(asked, _backoff(state))


def retry_after(text: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or a date; 0 where it has none."""
    seconds = 0.0
    with contextlib.suppress(ValueError):
        if text and text.strip().isdigit():
            seconds = float(text)
        elif text:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _said(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
