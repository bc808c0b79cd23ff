"""Measure this machine with Gatekeeper on it, beside what bounds each part, to size a fleet.

  ingest    one server: requests/s and latency, beside the same server without publishing
  apply     one worker and a full backlog: processor time, stage by stage
  pipeline  the whole fleet: sustained transactions/s, and the time from POST to committed row
  scale     1 to 16 workers, and larger batches, against a warehouse at BigQuery's speed
  memory    a server and a worker over a million transactions
  pace      the embedded BigQuery after 5,000 batches, and the embedded Pub/Sub
  locust    1,000 users of locust
  cost      what a rate costs on Google's services, and the quotas it comes near: no measurement
  all       everything above, and docs/performance.md from it

Every process is the bench's own, with ports and folders of its own, and ends with it; settings and
.env do not reach it, so a project in the cloud is never touched. Figures are medians of rounds in
which what is compared takes turns: read the ratios, as absolute figures drift. A run in which
anything fails (an answer that is no 200, a restart, a rejected transaction) is not reported, and
the exit status is 1. What it is at goes to standard error.

At full size on two cores: ingest 5 minutes, apply 1, pipeline 4, scale 7, memory 8, pace 12,
locust 3; all of it about 40. Leave the machine alone meanwhile.

For example:
  gatekeeper bench ingest
  gatekeeper bench apply --json apply.json --plots plots/
  gatekeeper bench cost --rate 500 --workers 4 --tables 40 --table-gb 20
  gatekeeper bench all --quick --document /tmp/performance.md     see that everything works
"""

import argparse
from pathlib import Path

from rich.console import Console

from ops.commands.failure import CommandFailed, report
from ops.runtime.settings import Settings

NAMES = ("ingest", "apply", "pipeline", "scale", "memory", "pace", "locust", "cost", "all")
DOCUMENT = Path("docs/performance.md")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("bench", choices=NAMES, metavar="BENCH", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="a small run: seconds, and no figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw plots there, as SVG")
    parser.add_argument(
        "--reports", type=Path, metavar="DIR", help="locust: keep its own CSV and HTML there"
    )
    parser.add_argument(
        "--document",
        type=Path,
        default=DOCUMENT,
        metavar="FILE",
        help="all: write the report there, its plots beside it (%(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="all: keep what a run that broke off has measured, on this machine and commit",
    )
    load = parser.add_argument_group("cost", "the load and the settings to reckon with")
    load.add_argument("--rate", type=float, help="transactions a second (200)")
    load.add_argument("--workers", type=int, help="worker processes (2)")
    load.add_argument("--tables", type=int, help="tables that are written to (20)")
    load.add_argument("--table-gb", type=float, help="size of the average table (1)")
    load.add_argument("--job-seconds", type=float, help="how long a BigQuery job takes (2.5)")


def _load(options: argparse.Namespace) -> dict[str, float | None]:
    return {
        "rate": options.rate,
        "workers": options.workers,
        "tables": options.tables,
        "job_seconds": options.job_seconds,
        "table_bytes": None if options.table_gb is None else options.table_gb * 1e9,
    }


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Measure and print; 1, with what went wrong, when the run is not to be trusted."""
    # These bring half of the product with them, which `gatekeeper bench --help` need not wait for.
    from ops.bench import runner  # noqa: PLC0415
    from ops.rig.processes import RunFailed  # noqa: PLC0415

    console = Console(highlight=False)
    try:
        if options.bench == "all":
            runner.run(
                options.document,
                console,
                quick=options.quick,
                resume=options.resume,
                measurements=options.json,
            )
        else:
            if options.bench == "cost":
                result = runner.run_cost(_load(options), settings)
            else:
                result = runner.run_one(options.bench, quick=options.quick, reports=options.reports)
            runner.keep(result, console, measurements=options.json, plot_folder=options.plots)
    except RunFailed as reason:
        return report(CommandFailed(f"bench {options.bench}: no figures, as {reason}"))
    return 0
