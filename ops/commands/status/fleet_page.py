"""The page of `gatekeeper status`, from supervisord, the Pushgateway, Pub/Sub and BigQuery."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ops.commands.console import styled
from ops.commands.status import process_samples, rejection_counts
from ops.commands.status.process_samples import ProcessSample
from ops.commands.text_format import duration
from ops.fleet.config import FleetConfig
from ops.runtime import backlog
from ops.runtime.halts import RESUME, halts
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord, SupervisordUnreachable

TIMEOUT_SECONDS = 3.0
_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow", "EXITED": "dim"}


class FleetPage:
    """Refreshed again and again, it shows rates since the last refresh."""

    def __init__(self, fleet: FleetConfig, settings: Settings) -> None:
        self._fleet = fleet
        self._settings = settings
        self._samples: dict[str, ProcessSample] = {}
        self.healthy = False
        """Whether supervisord answered last, all processes were healthy, no worker had halted."""

    def refresh(self) -> Group:
        """Query all sources in parallel; a source that does not answer gets a line on the page."""
        answers, errors = self._ask()
        states: list[ProcessState] = answers.get("processes", [])
        groups = answers.get("pushed")
        halted = halts(groups or ())
        self.healthy = bool(states) and all(map(_healthy, states)) and not halted
        samples = process_samples.samples(groups or ())
        page = Group(
            _processes(states, samples, self._samples),
            _line("backlog", answers.get("backlog")),
            _line("dead letters", answers.get("dead letters")),
            _line("spool", None if groups is None else process_samples.spool(groups)),
            *(_unwrapped(f"{each}; {RESUME}", "bold red") for each in halted),
            *(_unwrapped(f"cannot read {error}", "yellow") for error in errors),
        )
        self._samples |= samples
        return page

    def _ask(self) -> tuple[dict[str, Any], list[str]]:
        """Return the answers by source, and a text for each source that failed."""
        answers: dict[str, Any] = {}
        errors: list[str] = []
        sources = self._sources()
        with ThreadPoolExecutor(len(sources)) as pool:
            futures = {name: pool.submit(source) for name, source in sources.items()}
        for name, future in futures.items():
            try:
                answers[name] = future.result()
            except SupervisordUnreachable:
                where = self._fleet.socket
                errors.append(f"processes: no supervisord at {where} (start it with ops/up)")
            except Exception as error:  # noqa: BLE001  # the page shows the other sources
                errors.append(f"{name}: {_first_line(error)}")
        return answers, errors

    def _sources(self) -> dict[str, Callable[[], Any]]:
        settings, timeout = self._settings, TIMEOUT_SECONDS
        return {
            "processes": Supervisord(self._fleet.socket, timeout).states,
            "pushed": lambda: process_samples.read(settings.pushgateway_prometheus_host, timeout),
            "backlog": lambda: backlog.read(settings, timeout),
            "dead letters": lambda: rejection_counts.count(settings, timeout),
        }


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _unwrapped(text: str, style: str) -> Text:
    line = styled(text, style)
    line.no_wrap, line.overflow = True, "ignore"  # paths and commands stay whole
    return line


def _line(name: str, value: object) -> Text:
    return Text.assemble((f"{name}: ", "bold"), styled("unknown" if value is None else str(value)))


def _healthy(state: ProcessState) -> bool:
    return state.state == "RUNNING" or (state.state == "EXITED" and state.exit_status == 0)


def _processes(
    states: list[ProcessState], samples: dict[str, ProcessSample], earlier: dict[str, ProcessSample]
) -> Table:
    table = Table("process", "state", "up", header_style="bold")
    for name in ("rate", "total", "pushed"):
        table.add_column(name, justify="right")
    for state in states:
        sample = samples.get(state.name)
        table.add_row(
            styled(state.name),
            styled(_state(state), _COLOURS.get(state.state, "red")),
            duration(state.uptime_seconds) if state.uptime_seconds else "",
            *(_numbers(sample, earlier.get(state.name)) if sample else ()),
        )
    for name in sorted(samples.keys() - {state.name for state in states}):
        table.add_row(styled(name), styled("only on the Pushgateway", "yellow"))
    return table


def _state(state: ProcessState) -> str:
    if state.state == "EXITED" and state.exit_status == 0:
        return "done"
    if state.state in {"RUNNING", "STARTING", "STOPPED"}:
        return state.state.lower()
    return f"{state.state.lower()}: {state.description}"


def _numbers(sample: ProcessSample, earlier: ProcessSample | None) -> tuple[str, str, str]:
    return (
        f"{sample.rate(earlier):,.1f} {sample.unit}/s",
        f"{sample.total:,.0f}",
        f"{duration(sample.age_seconds)} ago",
    )
