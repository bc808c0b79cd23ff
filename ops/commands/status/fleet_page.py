"""The page of `gatekeeper status`, from supervisord, what is pushed, Pub/Sub and BigQuery."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ops.commands.console import styled
from ops.commands.google_failure import one_line
from ops.commands.status import process_samples, rejection_counts
from ops.commands.status.process_samples import ProcessSample
from ops.commands.text_format import duration
from ops.fleet.config import FleetConfig
from ops.runtime import backlog
from ops.runtime.halts import RESUME, halts
from ops.runtime.process import full_name
from ops.runtime.pushed_metrics import stale_seconds
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord, SupervisordUnreachable

TIMEOUT_SECONDS = 3.0
_TEXT = 200
_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow", "EXITED": "dim"}


class FleetPage:
    """Refreshed again and again, it shows rates since the last refresh."""

    def __init__(self, fleet: FleetConfig, settings: Settings) -> None:
        self._fleet = fleet
        self._settings = settings
        self._samples: dict[str, ProcessSample] = {}
        self.healthy = False
        """Whether every source answered last, and nothing was wrong."""
        self.document: dict[str, Any] = {}
        """The same as the page, for programs; null is unknown."""

    def refresh(self) -> Group:
        """Query all sources in parallel; a source that does not answer gets a line on the page."""
        answers, errors = self._ask()
        states: list[ProcessState] = answers.get("processes", [])
        groups, read_at = answers.get("pushed", (None, 0.0))
        halted = halts(groups or ())
        samples = process_samples.samples(groups or (), read_at)
        rows = _rows(self._settings, states, samples)
        spool = None if groups is None else process_samples.spool(groups)
        self.healthy = bool(states) and not (errors or halted or any(row.wrong for row in rows))
        self.document = {
            "healthy": self.healthy,
            "processes": [row.as_json(self._samples.get(row.name)) for row in rows],
            "backlog": _fields(answers.get("backlog")),
            "rejected": _fields(answers.get("dead letters")),
            "spool": _fields(spool),
            "halted": None if groups is None else [each._asdict() for each in halted],
            "errors": errors,
        }
        page = Group(
            _processes(rows, self._samples),
            *self._unseen(samples),
            _line("backlog", answers.get("backlog")),
            _line("dead letters", answers.get("dead letters")),
            _line("spool", spool),
            *(_unwrapped(f"{each}; {RESUME}", "bold red") for each in halted),
            *(_unwrapped(f"cannot read {error}", "yellow") for error in errors),
        )
        self._samples |= samples
        return page

    def _unseen(self, samples: dict[str, ProcessSample]) -> list[Text]:
        own = self._settings.instance
        if self._settings.pushgateway_prometheus_host is None:
            why = "without PUSHGATEWAY_PROMETHEUS_HOST other machines are not seen"
            return [_unwrapped(f"only {own} is shown: {why}", "dim")]
        others = sorted({each.machine for each in samples.values()} - {own, ""})
        if not others:
            return []
        seen = f"{', '.join(others)}: seen from {own} only by what their processes push"
        return [_unwrapped(seen, "dim")]

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
                errors.append(f"{name}: {one_line(error)[:_TEXT]}")
        return answers, errors

    def _sources(self) -> dict[str, Callable[[], Any]]:
        settings, timeout = self._settings, TIMEOUT_SECONDS
        return {
            "processes": Supervisord(self._fleet.socket, timeout).states,
            "pushed": lambda: (
                process_samples.read(settings, timeout),
                time.time(),
            ),
            "backlog": lambda: backlog.read(settings, timeout),
            "dead letters": lambda: rejection_counts.count(settings, timeout),
        }


def _unwrapped(text: str, style: str) -> Text:
    line = styled(text, style)
    line.no_wrap, line.overflow = True, "ignore"  # paths and commands stay whole
    return line


def _line(name: str, value: object) -> Text:
    return Text.assemble((f"{name}: ", "bold"), styled("unknown" if value is None else str(value)))


def _fields(answer: Any) -> dict[str, Any] | None:
    return None if answer is None else answer._asdict()


def _healthy(state: ProcessState) -> bool:
    return state.state == "RUNNING" or (state.state == "EXITED" and state.exit_status == 0)


class _Row(NamedTuple):
    """A process: its name in the fleet, its state in words, and what it pushed."""

    name: str
    state: str
    colour: str
    wrong: bool
    uptime_seconds: float | None = None
    sample: ProcessSample | None = None

    def as_json(self, earlier: ProcessSample | None) -> dict[str, Any]:
        found = self.sample
        return {
            "name": self.name,
            "state": self.state,
            "healthy": not self.wrong,
            "uptime_seconds": self.uptime_seconds and round(self.uptime_seconds, 1),
            "transactions": found and found.total,
            "per_second": found and round(found.rate(earlier), 3),
            "pushed_seconds_ago": found and round(found.age_seconds, 3),
        }


def _rows(
    settings: Settings, states: list[ProcessState], samples: dict[str, ProcessSample]
) -> list[_Row]:
    """Return supervisord's processes, then those that only their metrics show."""
    rows = []
    for state in states:
        name = full_name(settings.instance, state.name)
        colour, wrong = _COLOURS.get(state.state, "red"), not _healthy(state)
        sample, words = samples.get(name), _state(state)
        if state.state == "RUNNING" and sample and sample.age_seconds > stale_seconds(settings):
            words, colour, wrong = "running, but silent", "yellow", True
        rows.append(_Row(name, words, colour, wrong, state.uptime_seconds, sample))
    others = sorted(samples.keys() - {row.name for row in rows})
    known = bool(states)
    return rows + [_pushed_row(settings, name, samples[name], known=known) for name in others]


def _pushed_row(settings: Settings, name: str, sample: ProcessSample, *, known: bool) -> _Row:
    """Return the row of another machine's process, or of one that `known` processes lack."""
    if sample.machine == settings.instance and known:
        return _Row(name, "not of this supervisord", "yellow", wrong=True, sample=sample)
    if sample.age_seconds > stale_seconds(settings):
        return _Row(name, "silent: killed, hung or cut off", "red", wrong=True, sample=sample)
    return _Row(name, "pushing", "green", wrong=False, sample=sample)


def _processes(rows: list[_Row], earlier: dict[str, ProcessSample]) -> Table:
    table = Table(header_style="bold")
    table.add_column("process", no_wrap=True, overflow="ignore")
    for name in ("state", "up"):
        table.add_column(name)
    for name in ("rate", "total", "pushed"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            styled(row.name),
            styled(row.state, row.colour),
            duration(row.uptime_seconds) if row.uptime_seconds else "",
            *(_numbers(row.sample, earlier.get(row.name)) if row.sample else ()),
        )
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
