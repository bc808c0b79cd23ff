"""Retry policies: bounded by attempts and time, jittered, counted.

The caller's predicate decides which errors are transient, so that each table of errors is in the
package of its service.
"""

import asyncio
from collections.abc import Awaitable, Callable

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
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tenacity.AsyncRetrying:
    """Return what tenacity calls an AsyncRetrying: `async for attempt in …: with attempt: …`.

    It stops after `attempts` tries or `seconds`, whichever is first, and reraises the last error
    unchanged. An error that is not `transient` is raised immediately. Every retry is counted under
    `cause` and logged.
    """

    def count(state: tenacity.RetryCallState) -> None:
        metrics.RETRIES.labels(cause=cause).inc()
        error = state.outcome.exception() if state.outcome else None
        logger.warning("retry", cause=cause, attempt=state.attempt_number, error=str(error))

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(transient),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=first_wait, max=longest_wait),
        before_sleep=count,
        sleep=sleep,
        reraise=True,
    )
