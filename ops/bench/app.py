"""`gatekeeper bench`."""

from pathlib import Path
from typing import Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.failure import CommandFailed

DOCUMENT = Path("docs/performance.md")

Bench = Literal["ingest", "apply", "pipeline", "strict", "scale", "memory", "locust", "cost", "all"]

_HELP = """\
Measure Gatekeeper on this machine, or estimate its cost in the cloud.

\b
ingest    one server: requests/s and latency, compared with a server that does not publish
apply     one worker and a full backlog: processor time of each stage
pipeline  the whole fleet: sustained transactions/s, and the time from POST to committed row
strict    the whole fleet on a BigQuery with documented quotas, latency and prices
scale     1 to 16 workers, and larger batches, with BigQuery's quotas and latency
memory    a server and a worker over a million transactions
locust    1,000 users of locust
cost      Google's prices and quotas for a rate; measures nothing
all       everything above; writes docs/performance.md

The bench starts its own processes with their own ports and folders, and stops them at the end.
It ignores settings and .env, so it never touches a project in the cloud; only cost takes its
defaults from them, if PROJECT_ID is set. Figures are medians of rounds in which the compared
systems alternate: trust the ratios, because absolute figures drift. A run with any error (an answer
other than 200, a restart, a rejected transaction) is not reported and exits with 1. Progress goes
to standard error.

On two cores: ingest takes 5 minutes, apply 1, pipeline 4, strict 9, scale 9, memory 8, locust 3,
all about 40. Run it on an idle machine.
"""

app = command_app()


@app.command(
    help=_HELP,
    epilog=examples(
        "gatekeeper bench ingest",
        "gatekeeper bench apply --json apply.json --plots plots/",
        "gatekeeper bench cost --rate 100 --tables 40 --freshness 60 --table-partitions 365",
        "gatekeeper bench all --quick --document /tmp/performance.md     a quick check",
    ),
)
def bench(
    name: Bench = Argument(metavar="BENCH", help="One of those above."),
    *,
    quick: bool = Option(False, "--quick", help="A small run of seconds without real figures."),
    json: Path | None = Option(None, metavar="FILE", help="Write every measurement to FILE."),
    plots: Path | None = Option(None, metavar="DIR", help="Write plots as SVG."),
    reports: Path | None = Option(
        None, metavar="DIR", help="locust: keep its CSV and HTML reports."
    ),
    document: Path = Option(
        DOCUMENT, metavar="FILE", help="all: write the report to FILE, its plots next to it."
    ),
    resume: bool = Option(
        False,
        "--resume",
        help="all: keep the results of an interrupted run on this machine and commit.",
    ),
    rate: float | None = Option(None, help="cost: transactions a second (200)."),
    workers: int | None = Option(None, help="cost: worker processes (2)."),
    tables: int | None = Option(None, help="cost: tables written to (20)."),
    table_gb: float | None = Option(None, help="cost: average size of a table in GB (1)."),
    freshness: float | None = Option(None, help="cost: FRESHNESS_SECONDS (10)."),
    lanes: int | None = Option(None, help="cost: LANES (32)."),
    table_partitions: int | None = Option(None, help="cost: partitions of a table (1)."),
    partitions: int | None = Option(
        None, help="cost: partitions of a table that a batch touches (1)."
    ),
    job_seconds: float | None = Option(
        None, help="cost: seconds of a BigQuery job without its statements (1)."
    ),
    statement_seconds: float | None = Option(
        None, help="cost: seconds of each of its statements (0.7)."
    ),
) -> None:
    from ops.bench import runner
    from ops.commands.console import PlainConsole
    from ops.rig.processes import RunFailed

    settings = command_settings()
    console = PlainConsole()
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
    try:
        if name == "all":
            runner.run(document, console, quick=quick, resume=resume, measurements=json)
            return
        if name == "cost":
            result = runner.run_cost(load, settings)
        else:
            result = runner.run_one(name, quick=quick, reports=reports)
        runner.keep(result, console, measurements=json, plot_folder=plots)
    except RunFailed as reason:
        raise CommandFailed(f"bench {name}: no figures: {reason}") from reason
