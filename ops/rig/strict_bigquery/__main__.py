"""`python -m ops.rig.strict_bigquery HOST:PORT (--upstream HOST:PORT | --alone)`, until SIGTERM."""

import argparse
from collections.abc import Sequence

import uvloop
from aiohttp import web

from ops.rig.strict_bigquery.app import create_app
from ops.rig.strict_bigquery.documented_rules import RULES, Latency, RuleLimits
from ops.rig.strict_bigquery.strict_service import StrictSetup
from ops.runtime import addresses, process
from schema import LANES


def _parser() -> argparse.ArgumentParser:
    usual = Latency()
    parser = argparse.ArgumentParser(
        prog="python -m ops.rig.strict_bigquery",
        description="A BigQuery with the documented rules, latency and prices, on a loopback port. "
        "GET /_strict/report returns what was billed and refused; DELETE resets it.",
    )
    parser.add_argument("address", help="host:port to listen on")
    behind = parser.add_mutually_exclusive_group(required=True)
    behind.add_argument("--upstream", default="", help="host:port of the embedded BigQuery")
    behind.add_argument("--alone", action="store_true", help="no storage: for benchmarks")
    parser.add_argument("--location", default="US", help="of the dataset (%(default)s)")
    seconds = parser.add_argument_group("seconds")
    seconds.add_argument("--job-seconds", type=float, default=usual.job)
    seconds.add_argument("--statement-seconds", type=float, default=usual.statement)
    seconds.add_argument("--late-share", type=float, default=0.0, help="of jobs that end late")
    seconds.add_argument("--late-seconds", type=float, default=usual.late_seconds)
    seconds.add_argument(
        "--window-seconds",
        type=float,
        default=RuleLimits().window_seconds,
        help="in which the statements on a table are counted (%(default)s)",
    )
    seconds.add_argument("--stuck-table", default="", help="no statement on it ends")
    parser.add_argument("--table-gb", type=float, default=0.0, help="size of each table at first")
    parser.add_argument("--partitions", type=int, default=1, help="of each table at first")
    parser.add_argument("--lanes", type=int, default=LANES, help="with --alone (%(default)s)")
    parser.add_argument("--seed", type=int, help="of what is left to chance")
    parser.add_argument(
        "--off",
        type=lambda text: text.split(","),
        default=[],
        metavar="RULE,RULE",
        help=f"rules that do not apply, or `all`: {', '.join(RULES)}",
    )
    return parser


def setup_of(arguments: Sequence[str] | None = None) -> tuple[str, StrictSetup]:
    """Return the address and the setup that the command line asks for."""
    parser = _parser()
    given = parser.parse_args(arguments)
    off = set(RULES) if given.off == ["all"] else set(given.off)
    if unknown := off - RULES.keys():
        parser.error(f"no such rule: {', '.join(sorted(unknown))}")
    limits = RuleLimits(
        rules=frozenset(RULES) - off,
        location=given.location,
        window_seconds=given.window_seconds,
    )
    latency = Latency(
        given.job_seconds,
        given.statement_seconds,
        given.late_share,
        given.late_seconds,
        given.stuck_table,
    )
    return given.address, StrictSetup(
        given.upstream,
        limits,
        latency,
        given.table_gb * 1e9,
        given.partitions,
        given.lanes,
        given.seed,
    )


async def main(address: str, setup: StrictSetup) -> None:
    """Serve until SIGTERM."""
    runner = web.AppRunner(create_app(setup), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, *addresses.split(address)).start()
    await process.stop_event().wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main(*setup_of()))
