"""Retry policies: bounded by attempts and time, jittered, counted; the decision is the caller's.

A policy says how often and how long; which errors are transient is decided by a predicate, so that
the table of errors stays beside the service that it belongs to.
"""

from collections.abc import Callable

import tenacity

from ops.runtime import log, metrics

logger = log.get(__name__)


def policy(  # noqa: PLR0913  # all but two are keyword-only bounds
    cause: str,
    transient: Callable[[BaseException], bool],
    *,
    attempts: int,
    seconds: float,
    first_wait: float = 0.1,
    longest_wait: float = 10.0,
) -> tenacity.AsyncRetrying:
    """Return what tenacity calls an AsyncRetrying: `async for attempt in …: with attempt: …`.

    It gives up after `attempts` tries or `seconds`, whichever is first, and then reraises the last
    error as it was. An error that `transient` denies is raised at once. Every retry is counted
    under `cause` and logged.
    """

    def note(state: tenacity.RetryCallState) -> None:
        metrics.RETRIES.labels(cause=cause).inc()
        error = state.outcome.exception() if state.outcome else None
        logger.warning("retry", cause=cause, attempt=state.attempt_number, error=str(error))

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(transient),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=first_wait, max=longest_wait),
        before_sleep=note,
        reraise=True,
    )
