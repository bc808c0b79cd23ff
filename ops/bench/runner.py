"""Runs one benchmark, or all of them in turn, and keeps what they found."""

import argparse
from pathlib import Path

from rich.console import Console

from ops.bench import capacity, cost, document, machine, plots, report
from ops.bench.catalog import BENCHES
from ops.bench.progress import say
from ops.runtime.settings import Settings


def run_one(options: argparse.Namespace, settings: Settings, console: Console) -> None:
    """Run the chosen benchmark, print what it found and keep it where the options say."""
    if options.bench == "cost":
        result = cost.run(_load(options, settings))
    else:
        _warn_of_others()
        result = BENCHES[options.bench](options.quick, options.reports)
    report.show(result, console)
    if options.json:
        report.write_json([result], machine.describe(), options.json)
    if options.plots:
        plots.draw(result.plots, options.plots)


def _load(options: argparse.Namespace, settings: Settings) -> capacity.Load:
    given = {
        "rate": options.rate,
        "workers": options.workers,
        "tables": options.tables,
        "job_seconds": options.job_seconds,
        "table_bytes": None if options.table_gb is None else options.table_gb * 1e9,
    }
    return capacity.Load(
        batch_max_messages=settings.batch_max_messages,
        batch_max_bytes=settings.batch_max_bytes,
        ledger_days=settings.ledger_days,
    )._replace(**{name: value for name, value in given.items() if value is not None})


def run(
    file: Path, console: Console, *, quick: bool, resume: bool, measurements: Path | None
) -> None:
    """Run every benchmark and write the document, its plots beside it and the measurements."""
    _warn_of_others()
    folder = file.with_suffix("")
    measurements = measurements or folder / "measurements.json"
    described = {**machine.describe(), "size": "small: no figures" if quick else "full"}
    results = report.read_json(described, measurements) if resume else []
    kept = {result.bench for result in results}
    for name, bench in BENCHES.items():
        if name in kept:
            say(f"{name}: kept")
            continue
        say(f"{name}:")
        results.append(bench(quick, folder / "locust"))
        report.show(results[-1], console)
        # After each, so that what was measured is kept when a later one fails.
        report.write_json(results, described, measurements)
        plots.draw(results[-1].plots, folder)
    file.write_text(document.write(results, described, folder.name))
    say(f"wrote {file}")


def _warn_of_others() -> None:
    load = machine.load_average()
    if load > 0.5:  # noqa: PLR2004  # half a process
        say(f"the machine is busy (load average {load:.1f}): figures will be noise")
