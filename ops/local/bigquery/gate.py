"""The gate between jobs, which share it, and maintenance, which wants it alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Lets any number of jobs in, or maintenance when no job is inside.

    Compaction never meets an open transaction this way: it can neither conflict with a client's
    nor delete a file that one is reading.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed = False
        self._inside = 0
        self._finished = 0
        self._last_finished = time.monotonic()

    @property
    def finished(self) -> int:
        """How many jobs have left since the start."""
        return self._finished

    @property
    def idle_seconds(self) -> float:
        """How long no job has been inside; 0 while one is."""
        return 0.0 if self._inside else time.monotonic() - self._last_finished

    @contextmanager
    def job(self) -> Iterator[None]:
        """Hold the gate open for one job; waits while maintenance has it."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._finished += 1
                self._last_finished = time.monotonic()
                self._condition.notify_all()

    @contextmanager
    def alone(self, patience: float) -> Iterator[bool]:
        """Keep new jobs out and wait up to `patience` seconds for those inside to end.

        Yields whether they did. New jobs wait meanwhile, so `patience` is what a long query may
        cost everybody else.
        """
        with self._condition:
            self._closed = True
            alone = self._condition.wait_for(lambda: not self._inside, patience)
            if not alone:
                self._open()
        try:
            yield alone
        finally:
            if alone:
                with self._condition:
                    self._open()

    def _open(self) -> None:
        self._closed = False
        self._condition.notify_all()
