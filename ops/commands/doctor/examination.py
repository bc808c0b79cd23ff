"""Runs all checks of `gatekeeper doctor`, each within its time limit."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ops.commands.doctor import machine_checks, pubsub_checks, warehouse_checks
from ops.commands.doctor.check_result import CheckFailed, CheckResult, CheckSkipped
from ops.commands.doctor.pubsub_checks import PubSubChecks
from ops.runtime.settings import Settings

# A check may take this much longer than its own calls.
_GRACE_SECONDS = 0.5

type Check = Callable[[], Awaitable[str]]
type Explain = Callable[[Exception], CheckFailed]


async def examine(settings: Settings, seconds: float) -> list[CheckResult]:
    """Run all checks and return their results in a fixed order.

    Cloud services are checked after the credentials, because they need them.
    """
    machine = asyncio.gather(
        *(
            _run(name, _in_thread(check, settings, seconds), seconds, _unexpected)
            for name, check in machine_checks.CHECKS.items()
        )
    )
    check = _in_thread(machine_checks.credentials, settings, seconds)
    credentials = await _run("credentials", check, seconds, _unexpected)
    usable = credentials.state != "wrong"
    async with _pubsub_checks(settings, seconds, usable=usable) as on_pubsub:
        services = await asyncio.gather(
            *_started(on_pubsub, pubsub_checks.explained, settings, seconds),
            *_started(
                _warehouse_checks(settings, seconds, usable=usable),
                warehouse_checks.explained,
                settings,
                seconds,
            ),
        )
    first, *rest = await machine
    return [first, credentials, *services, *rest]


@contextlib.asynccontextmanager
async def _pubsub_checks(
    settings: Settings, seconds: float, *, usable: bool
) -> AsyncIterator[dict[str, Check]]:
    if not (usable or settings.pubsub_emulator_host):
        yield dict.fromkeys(pubsub_checks.CHECKS, _no_credentials)
        return
    async with contextlib.aclosing(PubSubChecks(settings, seconds)) as pubsub:
        yield {
            name: functools.partial(check, pubsub) for name, check in pubsub_checks.CHECKS.items()
        }


def _warehouse_checks(settings: Settings, seconds: float, *, usable: bool) -> dict[str, Check]:
    if not (usable or settings.bigquery_emulator_host):
        return dict.fromkeys(warehouse_checks.CHECKS, _no_credentials)
    return {
        name: _in_thread(check, settings, seconds)
        for name, check in warehouse_checks.CHECKS.items()
    }


def _started(
    checks: dict[str, Check],
    explained: Callable[[Exception, Settings, float], CheckFailed],
    settings: Settings,
    seconds: float,
) -> list[Awaitable[CheckResult]]:
    return [
        _run(name, check, seconds, lambda error: explained(error, settings, seconds))
        for name, check in checks.items()
    ]


async def _no_credentials() -> str:
    raise CheckSkipped("not checked: there are no credentials")


async def _run(name: str, check: Check, seconds: float, explain: Explain) -> CheckResult:
    try:
        return CheckResult(name, "ok", await asyncio.wait_for(check(), seconds + _GRACE_SECONDS))
    except CheckSkipped as reason:
        return CheckResult(name, "skipped", str(reason))
    except TimeoutError:
        remedy = "check that the service and the network are up; --seconds waits longer"
        return CheckResult(name, "wrong", f"no answer within {seconds:g} s", remedy)
    except Exception as error:  # noqa: BLE001  # an error in a check is a result too
        failed = error if isinstance(error, CheckFailed) else explain(error)
        return CheckResult(name, "wrong", str(failed), failed.remedy)


def _unexpected(error: Exception) -> CheckFailed:
    return CheckFailed(f"{type(error).__name__}: {error}")


def _in_thread(
    blocking: Callable[[Settings, float], str], settings: Settings, seconds: float
) -> Check:
    """Return a check that runs in a daemon thread.

    The process does not wait for a daemon thread when it exits. It would wait for the threads of a
    pool, even for one that hangs in a DNS query.
    """

    async def check() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            try:
                done: tuple[Callable[..., None], Any] = (
                    future.set_result,
                    blocking(settings, seconds),
                )
            except Exception as error:  # noqa: BLE001  # raised again where it is awaited
                done = (future.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, *done)

        def finish(set_outcome: Callable[..., None], outcome: Any) -> None:
            if not future.done():  # it has not timed out
                set_outcome(outcome)

        threading.Thread(target=work, daemon=True).start()
        return await future

    return check
