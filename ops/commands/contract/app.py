"""`gatekeeper contract`."""

import json
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.failure import CommandFailed
from ops.runtime.terminal import write_line

Paths = Annotated[
    list[Path] | None,
    Argument(metavar="[PATH]…", help="Files or folders. CONTRACTS_DIR by default."),
]
Json = Annotated[bool, Option("--json", help="Print one JSON object.")]

app = command_app(
    help="""Infer, check, compare, document and apply contracts of tables; show what broke them.

    A contract is a YAML file in the Open Data Contract Standard v3.1: docs/contracts.md.""",
    epilog=examples(
        "gatekeeper contract lint",
        "gatekeeper contract lint --github contracts/    in a pull request's checks",
        "gatekeeper contract infer orders > orders.yaml",
        "gatekeeper contract infer samples.ndjson",
        "gatekeeper contract report --days 1 --contract orders",
        "gatekeeper contract diff old/orders.yaml contracts/orders.yaml",
        "gatekeeper contract diff --fail-on breaking main/contracts contracts",
        "gatekeeper contract docs --output contracts.html",
        "gatekeeper contract plan",
        "gatekeeper contract apply --yes contracts/orders.yaml",
    ),
)


@app.command()
def diff(
    old: Path = Argument(metavar="OLD", help="A contract file, or a folder of them."),
    new: Path = Argument(metavar="NEW", help="Its new version."),
    *,
    fail_on: Literal["breaking", "never"] = Option(
        "never", "--fail-on", help="Exit with 1 if a change is breaking."
    ),
    as_json: Json = False,
) -> int:
    """List what has changed, and whether it is breaking or compatible.

    A change is breaking if the new contract may refuse a transaction that kept to the old one, or
    if readers of the table lose something. A breaking change needs a new major version.
    """
    from ops.commands.contract.diff_report import print_diff

    is_breaking = print_diff(old, new, as_json=as_json)
    return 1 if is_breaking and fail_on == "breaking" else 0


@app.command()
def plan(paths: Paths = None, *, as_json: Json = False) -> int:
    """Print the DDL that makes the tables what their contracts say.

    It creates tables with partition, clustering and key, adds columns, widens types, and sets
    descriptions, labels and expiration. Nothing is ever dropped. What BigQuery cannot alter is
    listed with the remedy. The exit status is 1 if there is anything to do.
    """
    from ops.commands.contract.planning import print_plan

    settings = command_settings()
    return int(print_plan(settings, paths or [settings.contracts_dir], as_json=as_json))


@app.command()
def apply(
    paths: Paths = None,
    *,
    yes: bool = Option(False, "--yes", "-y", help="Do not ask."),
    as_json: Json = False,
) -> int:
    """Show the plan, ask, and run its DDL.

    Run it again at any time: it does what is left. The exit status is 1 if BigQuery cannot alter
    something.
    """
    from ops.commands.contract.planning import apply_plan

    settings = command_settings()
    chosen = paths or [settings.contracts_dir]
    return int(not apply_plan(settings, chosen, confirmed=yes, as_json=as_json))


@app.command("lint")
def lint_files(
    paths: Paths = None,
    *,
    github: bool = Option(
        False, "--github", help="Print what marks the lines in a pull request on GitHub."
    ),
    as_json: Json = False,
) -> None:
    """List every fault with its file, line and field. Exit with 1 if there is one."""
    from ops.commands.contract.contract_lint import github_line, lint

    try:
        found = lint(paths or [command_settings().contracts_dir])
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    if as_json:
        write_line(json.dumps(found.as_json()))
    else:
        for fault in found.faults:
            write_line(github_line(fault) if github else str(fault))
    if found.faults:
        raise CommandFailed(f"{len(found.faults)} faults in {found.files} files")
    if not as_json:
        write_line(f"{found.files} files, {len(found.contracts)} tables: no faults")


@app.command()
def docs(
    paths: Paths = None,
    *,
    output: Path | None = Option(
        None, "--output", "-o", metavar="FILE", help="Write here, not to standard output."
    ),
    as_json: Json = False,
) -> None:
    """Write one HTML page of all contracts in force: tables, columns, rules, teams.

    The page is complete: it needs no other file and no other host. Its box filters tables and
    columns.
    """
    from ops.commands.contract.documentation import write_documentation

    chosen = paths or [command_settings().contracts_dir]
    write_documentation(chosen, output, as_json_object=as_json)


@app.command()
def infer(
    source: str = Argument(metavar="TABLE|FILE.ndjson", help="A table, or sample transactions."),
    *,
    as_json: Json = False,
) -> None:
    """Write a contract of a table in BigQuery, or of the tables in sample transactions.

    The file has one transaction per line. Key, enumerations and partition are guesses: comments
    in the YAML, which you check and turn into rules. The contract is a draft in mode `report`:
    it refuses nothing.
    """
    from ops.commands.contract.inference import print_inferred

    print_inferred(source, as_json_object=as_json)


@app.command("report")
def report_violations(
    days: int = Option(7, min=1, max=30, help="The last days, today included (UTC)."),
    contract: str = Option("", metavar="NAME", help="Only this contract."),
    team: str = Option("", metavar="NAME", help="Only this team."),
    *,
    as_json: bool = Option(False, "--json", help="Print one JSON list."),
) -> None:
    """List what broke contracts on this machine's servers, the most frequent first.

    `refused` was answered 400; `reported` was accepted. Values are shown only of columns that have
    no classification, or are public.
    """
    import sqlite3

    from ops.commands.contract import violation_report
    from server.contracts import ViolationStore, violations_file

    try:
        counts = ViolationStore(violations_file(command_settings())).read(days)
    except (sqlite3.Error, OSError) as error:
        raise CommandFailed(f"the violations cannot be read: {error}") from None
    chosen = [
        each
        for each in counts
        if contract in {"", each.key.contract} and team in {"", each.key.team}
    ]
    if as_json:
        write_line(json.dumps(violation_report.as_json(chosen), ensure_ascii=False))
    elif chosen:
        violation_report.print_report(chosen)
    else:
        write_line(f"nothing broke a contract in the last {days} days")
