"""A job's own time limit, `configuration.jobTimeoutMs`, which local-bigquery takes and ignores.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfiguration: a job that takes
longer is stopped. Here it ends before the statement it has come to, its COMMIT included: whoever
has given up on a job by then can count on it that nothing will be committed behind its back. The
time runs while the process is suspended, too, and for a request that lay in the socket meanwhile.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local_bigquery.errors import BigQueryError

_BEAT_SECONDS = 0.05
_SUSPENDED_SECONDS = 1.0  # a longer pause between two beats is none of a busy machine's
_BACKLOG_SECONDS = 1.0  # by then what lay in the sockets has been read

_current = threading.local()  # a job runs in one thread


class Arrivals:
    """Tells when a request arrived that is read now: perhaps before the process was suspended."""

    def __init__(self) -> None:
        self._beat = time.monotonic()
        self._suspended_at = self._resumed_at = float("-inf")
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="arrivals", daemon=True).start()

    def now(self) -> float:
        """Return the earliest time at which a request that is read now can have arrived."""
        with self._lock:
            self._look()
            if time.monotonic() - self._resumed_at < _BACKLOG_SECONDS:
                return self._suspended_at
            return time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(_BEAT_SECONDS)
            with self._lock:
                self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._beat > _SUSPENDED_SECONDS:
            self._suspended_at, self._resumed_at = self._beat, now
        self._beat = now


class Deadlines:
    """When each submitted job must have ended; times are of the monotonic clock."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._of: dict[tuple[str, str], tuple[float, int]] = {}

    @contextmanager
    def submitting(self, project_id: str, job_id: str, configuration: Any) -> Iterator[None]:
        """Start the time of a job, if it has one; the block submits it.

        Where that fails, as for an id that is taken, the time of the first stays as it is.
        """
        milliseconds = int(configuration.jobTimeoutMs or 0)
        job = project_id, job_id
        deadline = self._arrivals.now() + milliseconds / 1000, milliseconds
        own = milliseconds > 0 and self._of.setdefault(job, deadline) is deadline
        try:
            yield
        except Exception:
            if own:
                self._of.pop(job, None)
            raise

    def enter(self, project_id: str, job_id: str) -> None:
        """Let `check` in this thread speak of this job from now on."""
        _current.deadline = self._of.pop((project_id, job_id), None)


def check() -> None:
    """Raise the job's failure when the time of the job of this thread is over."""
    deadline = getattr(_current, "deadline", None)
    if deadline is not None and time.monotonic() >= deadline[0]:
        seconds = deadline[1] / 1000
        raise BigQueryError(
            "stopped", f"Job execution was cancelled: Job timed out after {seconds:g}s"
        )
