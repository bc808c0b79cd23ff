"""Check everything that the fleet needs; each line is ok, or says what is wrong and what mends it.

Looks at settings, credentials, topics, subscriptions, dataset, ledger, permissions, Pushgateway,
disk, clock and API keys, all at once and each with a bound, so it answers in a few seconds even
when a service hangs. It changes nothing. Exit status 1 when anything is wrong.

For example:
  gatekeeper doctor
  gatekeeper doctor --format json
  gatekeeper doctor --seconds 10          over a slow line
"""

import argparse
import asyncio
import contextlib
import functools
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from ops.commands.doctor import (
    machine_checks as doctor_machine,
)
from ops.commands.doctor import (
    warehouse_checks as doctor_warehouse,
)
from ops.commands.doctor.finding import Finding, Skipped, Wrong
from ops.commands.doctor.pubsub_checks import PubSub
from ops.runtime.settings import Settings

SECONDS = 2.0
# What a check gets beyond its own calls' bound before it is left to itself.
_GRACE_SECONDS = 0.5
_COLOURS = {"ok": "green", "wrong": "bold red", "skipped": "dim"}

type Check = Callable[[], Awaitable[str]]
type Explain = Callable[[Exception], Wrong]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help=f"how long each service may take to answer ({SECONDS:g})",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check everything, print the findings; 1 when anything is wrong."""
    findings = asyncio.run(examine(settings, options.seconds))
    wrong = [each for each in findings if each.state == "wrong"]
    if options.format == "json":
        document = {"well": not wrong, "checks": [each.as_json() for each in findings]}
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        _print(findings)
    return 1 if wrong else 0


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for each in findings:
        console.print(
            Text(f"{each.state:8}", _COLOURS[each.state]), f"{each.check:25}", Text(each.detail)
        )
        if each.remedy:
            console.print(Text(f"{'':8} {'':25} → {each.remedy}", "yellow"))


async def examine(settings: Settings, seconds: float) -> list[Finding]:
    """Run all checks at once; return their findings in a fixed order.

    The credentials come first: without them the cloud's services have nothing to say.
    """
    machine = asyncio.gather(
        *(_look(name, _bound(check, settings, seconds), seconds, _unexpected)
          for name, check in doctor_machine.CHECKS.items())
    )  # fmt: skip
    credentials = await _look(
        "credentials", _bound(doctor_machine.credentials, settings, seconds), seconds, _unexpected
    )
    services = await _services(settings, seconds, usable=credentials.state != "wrong")
    first, *rest = await machine
    return [first, credentials, *services, *rest]


async def _services(settings: Settings, seconds: float, *, usable: bool) -> list[Finding]:
    checks: dict[str, tuple[Check, Explain]] = {}
    pubsub = PubSub(settings, seconds) if usable or settings.pubsub_emulator_host else None
    for name in (
        "topic",
        "dead-letter topic",
        "subscription",
        "dead-letter subscription",
        "Pub/Sub permissions",
    ):
        method = name.removeprefix("Pub/Sub ").replace("-", "_").replace(" ", "_")
        checks[name] = (
            (getattr(pubsub, method), pubsub.explained) if pubsub else (_no_token, _unexpected)
        )
    explain = functools.partial(doctor_warehouse.explained, settings=settings, seconds=seconds)
    reachable = usable or settings.bigquery_emulator_host
    for name, check in (
        ("dataset", doctor_warehouse.dataset),
        ("ledger", doctor_warehouse.ledger),
        ("BigQuery permissions", doctor_warehouse.permissions),
    ):
        checks[name] = (_bound(check, settings, seconds) if reachable else _no_token, explain)
    try:
        return await asyncio.gather(
            *(_look(name, check, seconds, why) for name, (check, why) in checks.items())
        )
    finally:
        if pubsub:
            await pubsub.close()


async def _no_token() -> str:
    raise Skipped("not looked at: there are no credentials")


async def _look(name: str, check: Check, seconds: float, explain: Explain) -> Finding:
    """Run one check within its bound; whatever comes of it is a finding."""
    try:
        return Finding(name, "ok", await asyncio.wait_for(check(), seconds + _GRACE_SECONDS))
    except Skipped as reason:
        return Finding(name, "skipped", str(reason))
    except Wrong as wrong:
        return Finding(name, "wrong", str(wrong), wrong.remedy)
    except TimeoutError:
        remedy = "see that the service and the way to it are up; --seconds waits longer"
        return Finding(name, "wrong", f"no answer within {seconds:g} s", remedy)
    except Exception as error:  # noqa: BLE001  # a check that fails is a finding too
        why = explain(error)
        return Finding(name, "wrong", str(why), why.remedy)


def _unexpected(error: Exception) -> Wrong:
    return Wrong(f"{type(error).__name__}: {error}")


def _bound(check: Callable[[Settings, float], str], settings: Settings, seconds: float) -> Check:
    return lambda: _in_a_thread(functools.partial(check, settings, seconds))


async def _in_a_thread(check: Callable[[], str]) -> str:
    """Run a blocking check in a thread that the process does not wait for at its end.

    A pool's threads would be: one that hangs in a look-up of names would keep everyone waiting.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(result: str | None, error: Exception | None) -> None:
        if future.done():  # given up
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result or "")

    def work() -> None:
        outcome: tuple[Any, ...]
        try:
            outcome = (check(), None)
        except Exception as error:  # noqa: BLE001  # it is raised again where it is awaited
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, daemon=True).start()
    return await future
