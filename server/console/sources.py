"""A slow source of the console: read in a thread now and then, its result cached for everyone."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

_LONGEST_FAULT = 200


class LatestResult[T](NamedTuple):
    """A value or an error; both None until the first query completes.

    `at` is the time of the result, on the clock of `time.monotonic`; `version` what it belongs to.
    """

    value: T | None = None
    fault: str | None = None
    at: float | None = None
    version: object = None


class CachedSource[T]:
    """Reads once in `min_age` seconds at most, one query at a time, and only on `refresh`.

    A value is kept until `version()` changes, or for `max_age` seconds (by default `min_age`), but
    not while a query is more than `timeout` seconds old. `read` runs in the executor; any exception
    of it becomes the fault.
    """

    def __init__(  # noqa: PLR0913  # all but two are keyword-only
        self,
        read: Callable[[], T],
        executor: Executor,
        *,
        min_age: float,
        timeout: float,
        max_age: float | None = None,
        version: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._executor = executor
        self._min_age = min_age
        self._timeout = timeout
        self._max_age = min_age if max_age is None else max_age
        self._version = version
        self._clock = clock
        self._latest = LatestResult[T]()
        self._query: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self._expired = False

    def refresh(self) -> asyncio.Task[None] | None:
        """Start a query if one is due; return the one in progress, None if there is none."""
        if self._query is None and self._is_due():
            self._started_at = self._clock()
            self._query = asyncio.create_task(self._run(), name="console-source")
        return self._query

    def expire(self) -> None:
        """Have the next `refresh` read again, whatever the age: something has changed."""
        self._expired = True

    def _is_due(self) -> bool:
        latest = self._latest
        if latest.at is None or self._expired:
            return True
        age = self._clock() - latest.at
        if age < self._min_age:
            return False
        outdated = age >= self._max_age or self._version() != latest.version
        return latest.fault is not None or outdated

    async def _run(self) -> None:
        version, self._expired = self._version(), False
        loop = asyncio.get_running_loop()
        try:
            value = await loop.run_in_executor(self._executor, self._read)
        except Exception as error:  # noqa: BLE001  # the rest of the page is still shown
            self._latest = LatestResult(None, _first_line(error), self._clock(), version)
        else:
            self._latest = LatestResult(value, None, self._clock(), version)
        finally:
            self._query = None

    def cancel(self) -> None:
        """Stop waiting for the query in progress."""
        if self._query is not None:
            self._query.cancel()

    @property
    def latest(self) -> LatestResult[T]:
        if self._query is not None:
            waiting = self._clock() - self._started_at
            if waiting > self._timeout:
                return LatestResult(None, f"no answer for {waiting:.0f} s", self._latest.at)
        return self._latest


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:_LONGEST_FAULT] if lines else type(error).__name__
