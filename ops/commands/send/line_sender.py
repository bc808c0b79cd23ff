"""Posts transactions to the server: lines of one ordering key in order, others in parallel."""

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

from ops.commands.send.transaction_lines import MAX_LINE_BYTES, TransactionLine, idempotency_key

REQUEST_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 10.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
LINES_PER_REQUEST = 8
"""Lines in memory for each parallel request: one is being sent, the others wait for their turn."""

# The server rejects this line; the next may be valid.
_REJECTED = {400, 413, 415, 422}
# The server, or a proxy in front of it, may accept the line later. An Idempotency-Key makes a retry
# after 500 safe.
_RETRYABLE = {408, 429, 500, 502, 503, 504}


class CannotSend(Exception):
    """A line can be neither sent nor rejected; the run ends."""


class LineVerdict(NamedTuple):
    """The server's answer to one line; `error` is None if it was accepted."""

    status: int
    message: str
    error: Any


class _ServerBusy(Exception):
    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


_RETRYABLE_ERRORS = (
    _ServerBusy,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    TimeoutError,
)


def session(url: str, api_key: str | None, concurrency: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=concurrency),
        timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
    )


class LineSender:
    """One run. Calls `on_verdict` for every line, and `on_retry` with the error before a retry."""

    def __init__(  # noqa: PLR0913  # all keyword-only
        self,
        session: aiohttp.ClientSession,
        *,
        run: str,
        ordering_key: str | None,
        concurrency: int,
        patience: float,
        on_verdict: Callable[[TransactionLine, LineVerdict], None],
        on_retry: Callable[[str], None],
    ) -> None:
        self._session = session
        self._run = run
        self._ordering_key = ordering_key
        self._requests = asyncio.Semaphore(concurrency)
        self._lines = asyncio.Semaphore(concurrency * LINES_PER_REQUEST)
        self._patience = patience
        self._on_verdict = on_verdict
        self._on_retry = on_retry
        self._last_of: dict[str, asyncio.Task[None]] = {}

    async def send(self, lines: Iterable[TransactionLine]) -> None:
        """Send all lines; raises `CannotSend` at the first that can be neither sent nor rejected.

        A line waits for the line before it with the same ordering key, its retries included, so no
        line overtakes one that could not be sent.
        """
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for line in lines:
                    await self._lines.acquire()
                    key = self._ordering_key or line.ordering_key()
                    task = group.create_task(self._deliver(line, self._last_of.get(key)))
                    self._last_of[key] = task
                    task.add_done_callback(functools.partial(self._done, key))
        except* (CannotSend, OSError) as errors:  # OSError: of writing rejected lines
            failed = errors.exceptions[0]
        if failed is not None:
            raise failed

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        self._lines.release()
        if self._last_of.get(key) is task:
            del self._last_of[key]

    async def _deliver(self, line: TransactionLine, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
            if previous.cancelled() or previous.exception():
                return  # the run ends; no line of this key may overtake the failed one
        async with self._requests:
            self._on_verdict(line, await self._post_with_retries(line))

    async def _post_with_retries(self, line: TransactionLine) -> LineVerdict:
        if line.body is None:
            error = f"the line exceeds {MAX_LINE_BYTES:,} bytes"
            return LineVerdict(413, "Payload Too Large", error)
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_RETRYABLE_ERRORS),
            stop=tenacity.stop_after_delay(self._patience),
            wait=_wait_seconds,
            before_sleep=lambda state: self._on_retry(_text(_error(state))),
            reraise=True,
        )
        try:
            return await retrying(self._post, line.number, line.body)
        except _RETRYABLE_ERRORS as error:
            raise CannotSend(f"line {line.number}: {_text(error)}") from error

    async def _post(self, number: int, body: bytes) -> LineVerdict:
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
            if answer.status in _RETRYABLE:
                raise _ServerBusy(
                    f"the server answers {answer.status} {answer.reason}",
                    retry_after(answer.headers.get("Retry-After")),
                )
            return _verdict(number, answer.status, text)


def _verdict(number: int, status: int, text: bytes) -> LineVerdict:
    try:
        answer = json.loads(text)
        verdict = LineVerdict(status, str(answer["message"]), answer["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CannotSend(f"line {number}: {status}, and no verdict: is this Gatekeeper?") from None
    if status == 200 or status in _REJECTED:  # noqa: PLR2004
        return verdict
    if status == 401:  # noqa: PLR2004
        raise CannotSend("the API key is missing or wrong: --key-file or GATEKEEPER_API_KEY")
    raise CannotSend(f"line {number}: {status} {verdict.message}: see --url")


_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT_SECONDS)


def _wait_seconds(state: tenacity.RetryCallState) -> float:
    """Wait longer each time, and never less than the server asks for."""
    error = _error(state)
    asked = error.retry_after if isinstance(error, _ServerBusy) else 0.0
    return max(asked, _backoff(state))


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _text(error: BaseException | None) -> str:
    return str(error) or type(error).__name__


def retry_after(text: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or a date; 0 if it has neither."""
    seconds = 0.0
    with contextlib.suppress(ValueError):
        if text and text.strip().isdigit():
            seconds = float(text)
        elif text:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
