"""`gatekeeper status`."""

import time
from typing import Any

from typer import Option
from typer.core import TyperCommand

from ops.commands.command_app import Json, command_app, command_settings, examples, number_between
from ops.commands.failure import WrongUse
from ops.runtime.terminal import write_json

WATCH_SECONDS = "5"

app = command_app()


class _WatchCommand(TyperCommand):
    """Lets `--watch` have no value; Typer has no such options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        missing = args[-1:] == ["--watch"]
        return super().parse_args(ctx, [*args, WATCH_SECONDS] if missing else args)


@app.command(cls=_WatchCommand, epilog=examples("gatekeeper status", "gatekeeper status --watch 5"))
def status(
    *,
    watch: float | None = Option(
        None,
        metavar="[SECONDS]",
        parser=number_between(0.1, 86_400),
        help=f"Refresh every SECONDS ({WATCH_SECONDS} without a value) until Ctrl-C.",
    ),
    as_json: Json = False,
) -> int:
    """Show every process with its rate, the backlog, the spool and the dead letters.

    A rate is the average since the process started; with --watch, since the last refresh. Rates
    are as old as the column "pushed" shows. Processes of other machines are those that push to the
    Pushgateway; without one only this machine is shown.

    The exit status is 1 if anything is wrong or unknown: supervisord, the Pushgateway, Pub/Sub or
    BigQuery does not answer, a process is not healthy or silent, or a worker has halted.
    """
    from rich.live import Live

    from ops.commands.console import PlainConsole
    from ops.commands.status.fleet_page import FleetPage
    from ops.fleet.config import FleetConfig

    if as_json and watch is not None:
        raise WrongUse("give --json or --watch, not both")
    page = FleetPage(FleetConfig.read(), command_settings())
    console = PlainConsole()
    if watch is None:
        shown = page.refresh()
        if as_json:
            write_json(page.document)
        else:
            console.print(shown, crop=False)
        return 0 if page.healthy else 1
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(page.refresh(), refresh=True)
            time.sleep(watch)
