"""Runs all checks of `gatekeeper doctor`, each within its time limit."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from threading import Thread

from ops.commands.doctor import machine_checks, pubsub_checks, warehouse_checks
from ops.commands.doctor.check_result import CheckFailed, CheckResult, CheckSkipped
from ops.commands.doctor.pubsub_checks import PubSubChecks
from ops.runtime.settings import Settings

# A check may take this much longer than its own calls.
_GRACE_SECONDS = 0.5

type BlockingCheck = Callable[[Settings, float], str]
type Check = Callable[[], Awaitable[str]]
type Explained = Callable[[Exception, Settings, float], CheckFailed]


async def examine(settings: Settings, seconds: float) -> list[CheckResult]:
    """Run all checks and return their results in a fixed order.

    Cloud services are checked after the credentials, because they need them.
    """

    def run(name: str, check: Check, explained: Explained = _unexpected) -> Awaitable[CheckResult]:
        return _run(name, check, lambda error: explained(error, settings, seconds), seconds)

    def blocking(check: BlockingCheck) -> Check:
        return partial(_in_thread, partial(check, settings, seconds))

    machine = asyncio.gather(
        *(run(name, blocking(check)) for name, check in machine_checks.CHECKS.items())
    )
    credentials = await run("credentials", blocking(machine_checks.credentials))
    usable = credentials.state != "wrong"
    async with contextlib.AsyncExitStack() as stack:
        on_pubsub: dict[str, Check] = dict.fromkeys(pubsub_checks.CHECKS, _no_credentials)
        if usable or settings.pubsub_emulator_host:
            checks = PubSubChecks(settings, seconds)
            stack.push_async_callback(checks.aclose)
            on_pubsub = {name: partial(each, checks) for name, each in pubsub_checks.CHECKS.items()}
        on_bigquery: dict[str, Check] = dict.fromkeys(warehouse_checks.CHECKS, _no_credentials)
        if usable or settings.bigquery_emulator_host:
            on_bigquery = {name: blocking(each) for name, each in warehouse_checks.CHECKS.items()}
        services = await asyncio.gather(
            *(run(name, each, pubsub_checks.explained) for name, each in on_pubsub.items()),
            *(run(name, each, warehouse_checks.explained) for name, each in on_bigquery.items()),
        )
    first, *rest = await machine
    return [first, credentials, *services, *rest]


async def _no_credentials() -> str:
    raise CheckSkipped("not checked: there are no credentials")


def _unexpected(error: Exception, settings: Settings, seconds: float) -> CheckFailed:
    del settings, seconds
    return CheckFailed(f"{type(error).__name__}: {error}")


async def _run(
    name: str, check: Check, explained: Callable[[Exception], CheckFailed], seconds: float
) -> CheckResult:
    try:
        return CheckResult(name, "ok", await asyncio.wait_for(check(), seconds + _GRACE_SECONDS))
    except CheckSkipped as reason:
        return CheckResult(name, "skipped", str(reason))
    except TimeoutError:
        remedy = "check that the service and the network are up; --seconds waits longer"
        return CheckResult(name, "wrong", f"no answer within {seconds:g} s", remedy)
    except Exception as error:  # noqa: BLE001  # an error in a check is a result too
        failed = error if isinstance(error, CheckFailed) else explained(error)
        return CheckResult(name, "wrong", str(failed), failed.remedy)


async def _in_thread(check: Callable[[], str]) -> str:
    """Run a blocking check in a daemon thread, because the process does not wait for one to exit.

    It would wait for the threads of a pool, even for one that hangs in a DNS query.
    """
    result: Future[str] = Future()
    result.set_running_or_notify_cancel()  # a timeout does not cancel it

    def work() -> None:
        try:
            result.set_result(check())
        except Exception as error:  # noqa: BLE001  # raised again by the await below
            result.set_exception(error)

    Thread(target=work, daemon=True).start()
    return await asyncio.wrap_future(result)
