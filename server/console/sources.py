"""One answer of somewhere else: read in a thread now and then, kept for everyone who asks."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

_LONGEST_FAULT = 200


class Seen[T](NamedTuple):
    """What is known now: `value`, or why there is none; neither while the first answer is awaited.

    `at` is when the answer came, on the clock of `time.monotonic`; `version` what it answers to.
    """

    value: T | None = None
    fault: str | None = None
    at: float | None = None
    version: object = None


class Source[T]:
    """Asks at most once in `every` seconds, one question at a time, and only when somebody looks.

    An answer stands until `version()` changes, or for `rest` seconds (by default no longer than
    `every`). When a question is `patience` seconds old, what was known before is no longer told.
    `read` runs in the executor; whatever it raises is the fault.
    """

    def __init__(  # noqa: PLR0913  # all but two are keyword-only
        self,
        read: Callable[[], T],
        executor: Executor,
        *,
        every: float,
        patience: float,
        rest: float | None = None,
        version: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._executor = executor
        self._every = every
        self._patience = patience
        self._rest = every if rest is None else rest
        self._version = version
        self._clock = clock
        self._seen = Seen[T]()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    def ask(self) -> asyncio.Task[None] | None:
        """Ask anew when it is time; return the question under way, None when there is none."""
        if self._asking is None and self._due():
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._ask(), name="console-source")
        return self._asking

    def _due(self) -> bool:
        seen = self._seen
        if seen.at is None:
            return True
        age = self._clock() - seen.at
        if age < self._every:
            return False
        return seen.fault is not None or age >= self._rest or self._version() != seen.version

    async def _ask(self) -> None:
        version = self._version()
        loop = asyncio.get_running_loop()
        try:
            value = await loop.run_in_executor(self._executor, self._read)
        except Exception as error:  # noqa: BLE001  # whatever is away, the rest is shown
            self._seen = Seen(None, _brief(error), self._clock(), version)
        else:
            self._seen = Seen(value, None, self._clock(), version)
        finally:
            self._asking = None

    def forget(self) -> None:
        """Wait no longer for the question under way."""
        if self._asking is not None:
            self._asking.cancel()

    @property
    def seen(self) -> Seen[T]:
        """What is known now."""
        if self._asking is not None:
            waiting = self._clock() - self._asked_at
            if waiting > self._patience:
                return Seen(None, f"no answer for {waiting:.0f} s", self._seen.at)
        return self._seen


def _brief(error: Exception) -> str:
    """Return an error's first line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:_LONGEST_FAULT] if lines else type(error).__name__
