"""Runs one benchmark, or all of them in turn, and prints and saves their results."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psutil

from ops.bench import (
    apply_stages,
    cloud_cost,
    ingest,
    locust_run,
    machine,
    memory_growth,
    pipeline,
    plots,
    quiet_fleet,
    rendering,
    strict_pipeline,
    worker_scaling,
)
from ops.bench.bench_progress import show_progress
from ops.bench.capacity import AssumedLoad
from ops.bench.results import BenchResult, read_json, write_json
from ops.commands.console import PlainConsole
from ops.runtime.settings import Settings

type Bench = Callable[[bool, Path | None], BenchResult]
"""Takes whether to be quick, and the folder for reports of other programs."""

BENCHES: Final[dict[str, Bench]] = {
    "ingest": lambda quick, _: ingest.run(quick=quick),
    "apply": lambda quick, _: apply_stages.run(quick=quick),
    "pipeline": lambda quick, _: pipeline.run(quick=quick),
    "strict": lambda quick, _: strict_pipeline.run(quick=quick),
    "scale": lambda quick, _: worker_scaling.run(quick=quick),
    "memory": lambda quick, _: memory_growth.run(quick=quick),
    "quiet": lambda quick, _: quiet_fleet.run(quick=quick),
    "locust": lambda quick, reports: locust_run.run(reports, quick=quick),
    "cost": lambda _, __: cloud_cost.run(AssumedLoad()),
}
_BUSY: Final = 0.5
"""Processes that want to run, on average over the last minute."""


def _measure(name: str, bench: Bench, *, quick: bool, reports: Path | None) -> BenchResult:
    began = time.monotonic()
    result = bench(quick, reports)
    return replace(result, bench=name, seconds=time.monotonic() - began)


def run_one(name: str, *, quick: bool, reports: Path | None) -> BenchResult:
    """Run one benchmark; raises RunFailed if anything in it fails."""
    _warn_if_busy()
    return _measure(name, BENCHES[name], quick=quick, reports=reports)


def run_cost(load: Mapping[str, Any], settings: Settings) -> BenchResult:
    """Estimate the cost of a load; fields of AssumedLoad that are None keep their default.

    The defaults are those of the cloud, or its settings where there are some. Raises RunFailed for
    a load that cannot be.
    """
    given = {name: value for name, value in load.items() if value is not None}
    assumed = _load_of(settings) if settings.cloud else AssumedLoad()
    return replace(cloud_cost.run(assumed._replace(**given)), bench="cost")


def _load_of(settings: Settings) -> AssumedLoad:
    return AssumedLoad(
        lanes=settings.lanes,
        freshness=min(settings.freshness_seconds, settings.batch_max_seconds),
        warehouse_jobs=settings.warehouse_jobs,
        batch_max_messages=settings.batch_max_messages,
        batch_max_bytes=settings.batch_max_bytes,
        idempotency_hours=settings.idempotency_hours,
    )


def keep(
    result: BenchResult,
    console: PlainConsole,
    *,
    measurements: Path | None,
    plot_folder: Path | None,
) -> None:
    """Print a result, and write the measurements and the plots if a place is given."""
    rendering.print_result(result, console)
    if measurements:
        write_json([result], machine.describe(), measurements)
    if plot_folder:
        plots.draw(result.plots, plot_folder)


def run(  # noqa: PLR0913  # the command's options, by keyword
    file: Path,
    console: PlainConsole,
    *,
    quick: bool,
    resume: bool,
    measurements: Path | None,
    benches: Mapping[str, Bench] = BENCHES,
) -> None:
    """Run every benchmark and write the document, its plots next to it and the measurements."""
    _warn_if_busy()
    folder = file.with_suffix("")
    measurements = measurements or folder / "measurements.json"
    described = {**machine.describe(), "size": "small: no figures" if quick else "full"}
    results = read_json(described, measurements) if resume else []
    kept = {result.bench for result in results}
    for name, bench in benches.items():
        if name in kept:
            show_progress(f"{name}: kept")
            continue
        show_progress(f"{name}:")
        results.append(_measure(name, bench, quick=quick, reports=folder / "locust"))
        rendering.print_result(results[-1], console)
        # After each benchmark, so that its results are kept if a later one fails.
        write_json(results, described, measurements)
        plots.draw(results[-1].plots, folder)
    file.write_text(rendering.document(results, described, folder.name))
    show_progress(f"wrote {file}")


def _warn_if_busy() -> None:
    load, *_ = psutil.getloadavg()
    if load > _BUSY:
        show_progress(f"the machine is busy (load average {load:.1f}): figures will be noise")
