"""`gatekeeper bench`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from typer import Context, Option

from ops.commands.command_app import (
    Json,
    command_app,
    command_settings,
    examples,
)
from ops.commands.failure import CommandFailed, WrongUse, describe_os_error
from ops.runtime.terminal import write_json

DOCUMENT = Path("docs/performance.md")
MEASURED = {
    "ingest": "One server: requests/s and latency, next to baselines.",
    "apply": "One worker and a full backlog: processor time of each stage.",
    "pipeline": "The whole fleet: transactions/s, the time from POST to row.",
    "strict": "The fleet on a BigQuery with documented quotas and prices.",
    "scale": "1 to 16 workers, and larger batches, on that BigQuery.",
    "memory": "A server and a worker over a million transactions.",
    "quiet": "The fleet without a request: its start, processor time and memory.",
}


Quick = Annotated[bool, Option("--quick", help="A small run of seconds without real figures.")]
Measurements = Annotated[
    Path | None, Option("--json", metavar="FILE", help="Write every measurement to FILE.")
]
Plots = Annotated[Path | None, Option(metavar="DIR", help="Write plots as SVG.")]

app = command_app(
    help="""Measure Gatekeeper on this machine, or estimate its cost in the cloud.

    The bench starts its own processes with their own ports and folders, and stops them at the end.
    It ignores settings and .env, so it never touches a project in the cloud. Figures are medians of
    rounds in which the compared systems alternate: trust the ratios, because absolute figures
    drift. A run with any error (an answer other than 200, a restart, a rejected transaction) is not
    reported and exits with 1. Progress goes to standard error.

    On two cores: ingest takes 4 minutes, apply 1, pipeline 4, strict 9, scale 5, memory 8, quiet
    7, locust 3, all about 40. Run it on an idle machine.""",
    epilog=examples(
        "gatekeeper bench ingest",
        "gatekeeper bench apply --json apply.json --plots plots/",
        "gatekeeper bench cost --rate 100 --tables 40 --freshness 60 --table-partitions 365",
        "gatekeeper bench all --quick --document /tmp/performance.md     a quick check",
    ),
)


def measure(
    context: Context, *, quick: Quick = False, json: Measurements = None, plots: Plots = None
) -> None:
    _measure(str(context.info_name), quick=quick, json=json, plots=plots, reports=None)


for _name, _summary in MEASURED.items():
    app.command(_name, help=_summary)(measure)


@app.command()
def locust(
    *,
    quick: Quick = False,
    json: Measurements = None,
    plots: Plots = None,
    reports: Path | None = Option(
        None, metavar="DIR", help="Keep locust's own CSV and HTML reports."
    ),
) -> None:
    """1,000 users of locust."""
    _measure("locust", quick=quick, json=json, plots=plots, reports=reports)


@app.command(
    epilog=examples(
        "gatekeeper bench cost --rate 100 --tables 40",
        "gatekeeper bench cost --rate 100 --tables 40 --table-gb 1 --table-partitions 30 "
        "--freshness 60",
        "gatekeeper bench cost --json",
    )
)
def cost(
    *,
    rate: float | None = Option(None, metavar="N", help="Transactions a second (200)."),
    tables: int | None = Option(None, metavar="N", help="Tables written to (20)."),
    table_gb: float | None = Option(None, metavar="GB", help="Average size of a table (1)."),
    table_partitions: int | None = Option(None, metavar="N", help="Partitions of a table (1)."),
    partitions: int | None = Option(
        None, metavar="N", help="Partitions of a table that a batch touches (1)."
    ),
    freshness: float | None = Option(None, metavar="SECONDS", help="FRESHNESS_SECONDS (10)."),
    lanes: int | None = Option(None, metavar="N", help="LANES (32)."),
    workers: int | None = Option(None, metavar="N", help="Worker processes (2)."),
    job_seconds: float | None = Option(
        None, metavar="SECONDS", help="Of a BigQuery job without its statements (1)."
    ),
    statement_seconds: float | None = Option(
        None, metavar="SECONDS", help="Of each of its statements (0.7)."
    ),
    as_json: Json = False,
) -> None:
    """Estimate Google's prices and the quotas used for a rate. Nothing is measured.

    Defaults are in parentheses; if PROJECT_ID is set, FRESHNESS_SECONDS, LANES and the limits of a
    batch are those of the settings.
    """
    from ops.bench import runner
    from ops.commands.console import PlainConsole
    from ops.rig.processes import RunFailed

    load = {
        "rate": rate,
        "workers": workers,
        "tables": tables,
        "freshness": freshness,
        "lanes": lanes,
        "table_partitions": table_partitions,
        "partitions": partitions,
        "job_seconds": job_seconds,
        "statement_seconds": statement_seconds,
        "table_bytes": None if table_gb is None else table_gb * 1e9,
    }
    settings = command_settings()
    try:
        result = runner.run_cost(load, settings)
    except RunFailed as reason:
        raise WrongUse(str(reason)) from reason
    if as_json:
        write_json(result.to_json())
    else:
        runner.keep(result, PlainConsole(), measurements=None, plot_folder=None)


@app.command("all")
def run_all(
    *,
    quick: Quick = False,
    document: Path = Option(
        DOCUMENT, metavar="FILE", help="Write the report to FILE, its plots next to it."
    ),
    json: Measurements = None,
    resume: bool = Option(
        False, "--resume", help="Keep the results of an interrupted run on this machine and commit."
    ),
) -> None:
    """Everything above; writes docs/performance.md."""
    from ops.bench import runner
    from ops.commands.console import PlainConsole

    command_settings()
    with _reported("all"):
        runner.run(document, PlainConsole(), quick=quick, resume=resume, measurements=json)


def _measure(
    name: str, *, quick: bool, json: Path | None, plots: Path | None, reports: Path | None
) -> None:
    from ops.bench import runner
    from ops.commands.console import PlainConsole

    command_settings()
    with _reported(name):
        result = runner.run_one(name, quick=quick, reports=reports)
        runner.keep(result, PlainConsole(), measurements=json, plot_folder=plots)


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    from ops.rig.processes import RunFailed

    try:
        yield
    except RunFailed as reason:
        raise CommandFailed(f"bench {name}: no figures: {reason}") from reason
    except OSError as error:
        if error.filename is None:
            raise
        raise CommandFailed(f"bench {name}: {describe_os_error(error)}") from error
