"""A readers-writer lock: jobs share it, maintenance has it exclusively."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class MaintenanceLock:
    """Lets any number of jobs run, or maintenance when no job runs.

    So compaction never meets an open transaction: it cannot conflict with a client's, nor delete a
    file that a client is reading.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._exclusive = False
        self._running = 0
        self._last_finished = time.monotonic()
        self.finished = 0
        """How many jobs have ended since the start."""

    @property
    def idle_seconds(self) -> float:
        """How long no job has run; 0 while one runs."""
        return 0.0 if self._running else time.monotonic() - self._last_finished

    @contextmanager
    def job(self) -> Iterator[None]:
        """Hold the lock for one job; waits while maintenance has it."""
        with self._condition:
            self._condition.wait_for(lambda: not self._exclusive)
            self._running += 1
        try:
            yield
        finally:
            with self._condition:
                self._running -= 1
                self.finished += 1
                self._last_finished = time.monotonic()
                self._condition.notify_all()

    @contextmanager
    def exclusive(self, patience: float) -> Iterator[bool]:
        """Keep new jobs out and wait up to `patience` seconds for the running ones to end.

        Yields whether they did. New jobs wait meanwhile, so `patience` is the time that one long
        query may cost all others.
        """
        with self._condition:
            self._exclusive = True
            acquired = self._condition.wait_for(lambda: not self._running, patience)
            if not acquired:
                self._release()
        try:
            yield acquired
        finally:
            if acquired:
                with self._condition:
                    self._release()

    def _release(self) -> None:
        self._exclusive = False
        self._condition.notify_all()
