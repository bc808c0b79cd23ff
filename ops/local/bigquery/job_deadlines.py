"""A job's time limit, `configuration.jobTimeoutMs`, which local-bigquery accepts and ignores.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfiguration: a job that takes
longer is stopped. Here it ends before its next statement, which may be its COMMIT. So a client that
has given up on a job can rely on it that the job commits nothing later. Time in which the process
is suspended counts too, also for a request that waited in the socket meanwhile.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local_bigquery.errors import BigQueryError

_BEAT_SECONDS = 0.05
_SUSPENDED_SECONDS = 1.0  # a longer pause between two beats: the process was suspended
_BACKLOG_SECONDS = 1.0  # after this, all requests that waited in the sockets have been read

_current = threading.local()  # a job runs in one thread


class ArrivalClock:
    """The arrival time of a request read now: perhaps before the process was suspended."""

    def __init__(self) -> None:
        self._beat = time.monotonic()
        self._suspended_at = self._resumed_at = float("-inf")
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="arrivals", daemon=True).start()

    def now(self) -> float:
        """Return the earliest time at which a request that is read now can have arrived."""
        with self._lock:
            self._update()
            if time.monotonic() - self._resumed_at < _BACKLOG_SECONDS:
                return self._suspended_at
            return time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(_BEAT_SECONDS)
            with self._lock:
                self._update()

    def _update(self) -> None:
        now = time.monotonic()
        if now - self._beat > _SUSPENDED_SECONDS:
            self._suspended_at, self._resumed_at = self._beat, now
        self._beat = now


class JobDeadlines:
    """When each submitted job must have ended; times are of the monotonic clock."""

    def __init__(self) -> None:
        self._clock = ArrivalClock()
        self._of: dict[tuple[str, str], tuple[float, int]] = {}

    @contextmanager
    def submitting(self, project_id: str, job_id: str, configuration: Any) -> Iterator[None]:
        """Start a job's time, if it has a limit; the block submits the job.

        If the block fails, as for an id in use, the deadline of the first job with this id stays.
        """
        milliseconds = int(configuration.jobTimeoutMs or 0)
        job = project_id, job_id
        deadline = self._clock.now() + milliseconds / 1000, milliseconds
        added = milliseconds > 0 and self._of.setdefault(job, deadline) is deadline
        try:
            yield
        except Exception:
            if added:
                self._of.pop(job, None)
            raise

    def enter(self, project_id: str, job_id: str) -> None:
        """Make this the job that `check` checks in this thread."""
        _current.deadline = self._of.pop((project_id, job_id), None)


def check() -> None:
    """Raise the job's error if the time of this thread's job is over."""
    deadline = getattr(_current, "deadline", None)
    if deadline is not None and time.monotonic() >= deadline[0]:
        seconds = deadline[1] / 1000
        raise BigQueryError(
            "stopped", f"Job execution was cancelled: Job timed out after {seconds:g}s"
        )
