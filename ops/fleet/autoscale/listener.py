"""The autoscaler, an event listener of supervisord: `python -m ops.fleet.autoscale.listener`.

On every tick it looks at the backlog and gives the fleet as many workers as the policy wants. Off
unless AUTOSCALE_TARGET_SECONDS is set: then it takes the ticks, and nothing follows.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from ops.fleet.autoscale.policy import Policy
from ops.fleet.autoscale.scaler import Scaler
from ops.fleet.autoscale.ticks import standard_input, standard_output, ticks
from ops.runtime import log, metrics, process
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings
from ops.runtime.supervisord import Supervisord

TICK_SECONDS = 5
PATIENCE_SECONDS = 3.0

logger = log.get(__name__)


def scaler_of(settings: Settings, target_seconds: float) -> Scaler:
    """Put the scaler of this fleet together."""
    # Google's libraries take over 100 MB, which an autoscaler that is off does without.
    from ops.runtime import backlog  # noqa: PLC0415

    policy = Policy(
        target_seconds=target_seconds,
        least=settings.autoscale_min,
        most=settings.autoscale_max,
        late_seconds=backlog.late_seconds(settings),
    )
    socket = Path(os.environ["SUPERVISOR_SERVER_URL"].removeprefix("unix://"))
    return Scaler(
        policy,
        Supervisord(socket, PATIENCE_SECONDS),
        lambda: backlog.read(settings, PATIENCE_SECONDS),
    )


async def keep_scaled(
    settings: Settings, target_seconds: float, name: str, arriving: AsyncGenerator[int]
) -> None:
    """Look on every tick, until there are no more."""
    scaler = scaler_of(settings, target_seconds)
    metrics.AUTOSCALE_TARGET.set(target_seconds)
    logger.info(
        "autoscale_started",
        target_seconds=target_seconds,
        least=settings.autoscale_min,
        most=settings.autoscale_max,
    )
    pusher = Pusher(settings, "gatekeeper_autoscaler", name)
    async with pusher.running():
        async for tick in arriving:
            # One that waited while the last look took long is answered by the tick behind it.
            if time.time() - tick < TICK_SECONDS:
                await asyncio.to_thread(scaler.look)
    # What it saw is true no longer, and nobody will look again if it is turned off now.
    await pusher.delete()


async def main(settings: Settings) -> int:
    """Take ticks until SIGTERM or supervisord's end."""
    name = process.name("autoscale")
    log.setup(name, settings)
    answer = standard_output()
    stop = process.stop_event()
    async with contextlib.aclosing(ticks(await standard_input(), answer, stop)) as arriving:
        if settings.autoscale_target_seconds is None:
            logger.info("autoscale_off", reason="AUTOSCALE_TARGET_SECONDS is not set")
            async for _ in arriving:
                pass
        else:
            await keep_scaled(settings, settings.autoscale_target_seconds, name, arriving)
    logger.info("autoscale_stopped")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m ops.fleet.autoscale.listener",
        description="Scale the workers by the age of the backlog. An event listener: supervisord "
        "runs it, and talks to it on standard input and output.",
    ).parse_args()
    loaded = process.settings_or_exit()
    sys.exit(process.run(lambda: main(loaded)))
