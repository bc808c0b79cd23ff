from collections.abc import Awaitable, Callable

import pytest
import tenacity

from ops.runtime import metrics
from ops.runtime.retry import policy


class Passing(Exception):
    pass


def _fails(
    times: int, error: type[Exception] = Passing
) -> tuple[list[int], Callable[[], Awaitable[str]]]:
    calls: list[int] = []

    async def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error("not yet")
        return "done"

    return calls, call


def _policy(attempts: int) -> tenacity.AsyncRetrying:
    retrying = policy(
        "a_test", lambda error: isinstance(error, Passing), attempts=attempts, seconds=60
    )
    retrying.wait = tenacity.wait_none()  # takes the waiting out, not the retrying
    return retrying


def _counted() -> float:
    return float(metrics.RETRIES.labels(cause="a_test")._value.get())


async def test_a_transient_error_is_tried_again_and_counted() -> None:
    calls, call = _fails(2)
    before = _counted()

    assert await _policy(5)(call) == "done"

    assert len(calls) == 3
    assert _counted() == before + 2


async def test_the_last_error_is_raised_as_it_was_when_the_attempts_are_used_up() -> None:
    calls, call = _fails(99)

    with pytest.raises(Passing, match="not yet"):
        await _policy(4)(call)

    assert len(calls) == 4


async def test_another_error_is_raised_immediately() -> None:
    calls, call = _fails(1, KeyError)

    with pytest.raises(KeyError):
        await _policy(5)(call)

    assert len(calls) == 1
