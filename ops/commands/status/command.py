"""Show every process, its rate, the backlog and the dead letters.

Rates are averages since each process started; with --watch, of the time since the last look. They
come from the last push to the Pushgateway, so they are as old as the column "pushed" says.

For example:
  gatekeeper status
  gatekeeper status --watch 5
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ops.commands.duration import duration
from ops.commands.status import pushed
from ops.commands.status import rejection_counts as dead_letters
from ops.fleet.config import FleetConfig
from ops.runtime import backlog
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord, SupervisordUnreachable

PATIENCE_SECONDS = 3.0
_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow", "EXITED": "dim"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=5.0,
        metavar="SECONDS",
        help="look again every so many seconds (5) until Ctrl-C",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print the state of the fleet; 1 when supervisord does not answer or a process is not well."""
    fleet = FleetConfig.read()
    console = Console(highlight=False)
    if options.watch is None:
        page, well = look(fleet, settings, {})
        console.print(page)
        return 0 if well else 1
    last: dict[str, pushed.Sample] = {}
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            page, _ = look(fleet, settings, last)
            live.update(page, refresh=True)
            time.sleep(options.watch)


def look(
    fleet: FleetConfig, settings: Settings, last: dict[str, pushed.Sample]
) -> tuple[Group, bool]:
    """Ask everyone at once; return the page, and whether all processes are well.

    Who does not answer is named in the page. `last` holds each process's sample of the look before
    and is brought up to date.
    """
    questions = {
        "processes": lambda: Supervisord(fleet.socket, PATIENCE_SECONDS).states(),
        "pushed": lambda: pushed.read(settings.pushgateway_prometheus_host, PATIENCE_SECONDS),
        "backlog": lambda: backlog.read(settings, PATIENCE_SECONDS),
        "dead_letters": lambda: dead_letters.count(settings, PATIENCE_SECONDS),
    }
    answers: dict[str, Any] = {}
    unseen: list[str] = []
    with ThreadPoolExecutor(len(questions)) as pool:
        futures = {name: pool.submit(question) for name, question in questions.items()}
        for name, future in futures.items():
            try:
                answers[name] = future.result()
            except SupervisordUnreachable:
                unseen.append(f"the processes: no supervisord at {fleet.socket} (ops/up starts it)")
            except Exception as error:  # noqa: BLE001  # whatever is away, the rest is shown
                unseen.append(f"{name.replace('_', ' ')}: {_brief(error)}")
    states: list[ProcessState] = answers.get("processes", [])
    groups = answers.get("pushed")
    samples = pushed.samples(groups or ())
    page = Group(
        _processes(states, samples, last),
        _line("backlog", answers.get("backlog")),
        _line("dead letters", answers.get("dead_letters")),
        _line("spool", None if groups is None else pushed.spool(groups)),
        *(Text(f"cannot see {what}", "yellow") for what in unseen),
    )
    last.update(samples)
    return page, bool(states) and all(_well(state) for state in states)


def _brief(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _line(name: str, value: object) -> Text:
    return Text.assemble((f"{name}: ", "bold"), "unknown" if value is None else str(value))


def _well(state: ProcessState) -> bool:
    return state.state == "RUNNING" or (state.state == "EXITED" and state.exit_status == 0)


def _processes(
    states: list[ProcessState], samples: dict[str, pushed.Sample], last: dict[str, pushed.Sample]
) -> Table:
    table = Table(header_style="bold")
    for name in ("process", "state", "up"):
        table.add_column(name)
    for name in ("rate", "total", "pushed"):
        table.add_column(name, justify="right")
    for state in states:
        sample = samples.get(state.name)
        table.add_row(
            state.name,
            Text(_state(state), _COLOURS.get(state.state, "red")),
            duration(state.uptime_seconds) if state.uptime_seconds else "",
            *(_numbers(sample, last.get(state.name)) if sample else ("", "", "")),
        )
    for name in sorted(samples.keys() - {state.name for state in states}):
        table.add_row(name, Text("only on the Pushgateway", "yellow"), "", "", "", "")
    return table


def _state(state: ProcessState) -> str:
    if state.state == "EXITED" and state.exit_status == 0:
        return "done"
    if state.state in {"RUNNING", "STARTING", "STOPPED"}:
        return state.state.lower()
    return f"{state.state.lower()}: {state.description}"


def _numbers(sample: pushed.Sample, before: pushed.Sample | None) -> tuple[str, str, str]:
    return (
        f"{sample.rate(before):,.1f} {sample.unit}/s",
        f"{sample.total:,.0f}",
        f"{duration(sample.age_seconds)} ago",
    )
