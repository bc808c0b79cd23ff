"""The process of the autoscaler. Without AUTOSCALE_TARGET_SECONDS it does nothing."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from ops.fleet.autoscale.autoscaler import Autoscaler
from ops.fleet.autoscale.machine_share import AUTOSCALER_JOB, read_other_machines
from ops.fleet.autoscale.policy import AutoscalePolicy
from ops.fleet.autoscale.ticks import standard_input, standard_output, ticks
from ops.runtime import log, metrics, process
from ops.runtime.metrics_export import exporting
from ops.runtime.settings import Settings
from ops.runtime.supervisord import Supervisord

TICK_SECONDS = 5
CALL_SECONDS = 3.0

logger = log.get(__name__)


def make_autoscaler(settings: Settings, target_seconds: float) -> Autoscaler:
    # Google's libraries take over 100 MB, which an autoscaler that is off does not need.
    from ops.runtime import backlog  # noqa: PLC0415

    policy = AutoscalePolicy(
        target_seconds=target_seconds,
        least=settings.autoscale_min,
        most=settings.autoscale_max,
        late_seconds=backlog.late_seconds(settings),
    )
    socket = Path(os.environ["SUPERVISOR_SERVER_URL"].removeprefix("unix://"))
    return Autoscaler(
        policy,
        Supervisord(socket, CALL_SECONDS),
        lambda: backlog.read(settings, CALL_SECONDS),
        settings.instance,
        lambda: read_other_machines(settings, time.time(), CALL_SECONDS),
    )


async def autoscale(
    settings: Settings, target_seconds: float, name: str, arriving: AsyncGenerator[int]
) -> None:
    """Act on every tick, until there are no more."""
    autoscaler = make_autoscaler(settings, target_seconds)
    metrics.AUTOSCALE_TARGET.set(target_seconds)
    logger.info(
        "autoscale_started",
        target_seconds=target_seconds,
        least=settings.autoscale_min,
        most=settings.autoscale_max,
    )
    async with exporting(settings, AUTOSCALER_JOB, name):
        async for tick in arriving:
            # One that waited while the last call took long is answered by the tick after it.
            if time.time() - tick < TICK_SECONDS:
                await asyncio.to_thread(autoscaler.tick)


async def main(settings: Settings) -> int:
    """Take ticks until SIGTERM or the end of supervisord."""
    name = process.name("autoscale", settings)
    log.setup(name, settings)
    answer = standard_output()
    stop = process.stop_event()
    async with contextlib.aclosing(ticks(await standard_input(), answer, stop)) as arriving:
        if settings.autoscale_target_seconds is None:
            logger.info("autoscale_off", reason="AUTOSCALE_TARGET_SECONDS is not set")
            async for _ in arriving:
                pass
        else:
            await autoscale(settings, settings.autoscale_target_seconds, name, arriving)
    logger.info("autoscale_stopped")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m ops.fleet.autoscale",
        description="Scale the workers by the age of the backlog. An event listener: supervisord "
        "starts it, and writes to its standard input and reads its standard output.",
    ).parse_args()
    loaded = process.settings_or_exit()
    sys.exit(process.run(lambda: main(loaded)))
