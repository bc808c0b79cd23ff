"""`gatekeeper deadletter`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.deadletter.where_option import parse_selection
from ops.commands.failure import CommandFailed, WrongUse
from ops.rejections.selection import Selection
from schema import Reason

Json = Annotated[bool, Option("--json", help="Print JSON, one object on each line.")]
Limit = Annotated[int, Option(min=1, metavar="N", help="Read at most N rejected transactions.")]
Ids = Annotated[list[str] | None, Argument(metavar="ID", help="Ids of rejected transactions.")]
Where = Annotated[
    str,
    Option(
        metavar="NAME=VALUE,…",
        help="Only those with all of: source (an API key's name), table, "
        f"reason ({', '.join(Reason)}), since (2h, 3d, or a time in ISO 8601).",
    ),
]

LIMIT = 10_000

app = command_app(
    help="""List, show, replay or discard rejected transactions.

    They are in the table gatekeeper_rejected for REJECTED_DAYS. `list` and `show` change nothing.
    `replay` publishes a transaction again, waits for the workers and prints the outcome; one that
    is rejected again is listed again. A replayed transaction keeps its id, so it is applied once,
    however often you replay it. If another body already uses the id (idempotency_conflict),
    `replay` refuses it; --new-id replays it under a new id, which is always the same for one
    transaction. `discard` takes transactions off the list; the table keeps them.

    Fix the cause first: create the table, or change the column. Then replay.""",
    epilog=examples(
        "gatekeeper deadletter list --where since=2h",
        "gatekeeper deadletter show 3f2a…",
        "gatekeeper deadletter replay --where table=orders,reason=table_missing --dry-run",
        "gatekeeper deadletter replay --where table=orders,reason=table_missing",
        "gatekeeper deadletter replay --where reason=idempotency_conflict --new-id",
        "gatekeeper deadletter show --where source=shop --json > kept.ndjson",
        "gatekeeper deadletter discard --where reason=invalid_schema",
    ),
)


@app.command("list")
def list_rejections(
    *,
    where: Where = "",
    newest: int = Option(20, min=1, metavar="N", help="Show the N newest."),
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> int:
    """Count rejected transactions by reason and table, and list the newest."""
    return _run("list_newest", _selection(limit, (), where), as_json=as_json, newest=newest)


@app.command()
def show(ids: Ids = None, *, where: Where = "", as_json: Json = False, limit: Limit = LIMIT) -> int:
    """Print rejected transactions, with the body."""
    if not (ids or where):
        raise _nothing_chosen("--where")
    return _run("show", _selection(limit, ids or (), where), as_json=as_json)


@app.command()
def replay(
    ids: Ids = None,
    *,
    where: Where = "",
    dry_run: bool = Option(False, "--dry-run", help="Only print what would happen."),
    new_id: bool = Option(False, "--new-id", help="Give those a new id whose id is taken."),
    wait: int = Option(
        60, min=0, metavar="S", help="Wait up to S seconds for the outcomes; 0: do not wait."
    ),
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> int:
    """Send transactions to the workers again, and print what became of each.

    Exits 1 unless all are applied.
    """
    from ops.commands.deadletter.actions import ReplayOptions

    if not (ids or where):
        raise _nothing_chosen("--where")
    options = ReplayOptions(new_id, dry_run, wait)
    return _run("replay", _selection(limit, ids or (), where), as_json=as_json, options=options)


@app.command()
def discard(
    ids: Ids = None,
    *,
    where: Where = "",
    everything: bool = Option(False, "--all", help="Every rejected transaction."),
    yes: bool = Option(False, "--yes", "-y", help="Do not ask."),
    as_json: Json = False,
    limit: Limit = LIMIT,
) -> int:
    """Take transactions off the list, without a replay."""
    if not (ids or where or everything):
        raise _nothing_chosen("--where, or --all")
    return _run("discard", _selection(limit, ids or (), where), as_json=as_json, confirmed=yes)


def _nothing_chosen(options: str) -> WrongUse:
    return WrongUse(f"give ids, or {options} (see `gatekeeper deadletter list`)")


def _selection(limit: int, ids: list[str] | tuple[()], where: str) -> Selection:
    return parse_selection(limit, ids, where, datetime.now(UTC))


def _run(action: str, selection: Selection, *, as_json: bool, **options: Any) -> int:
    from google.api_core.exceptions import NotFound

    from ops.commands.deadletter import actions
    from ops.commands.google_failure import CALL_ERRORS, google_failure, one_line

    settings = command_settings()
    try:
        return int(getattr(actions, action)(settings, selection, as_json=as_json, **options))
    except NotFound as error:
        raise CommandFailed(f"{one_line(error)}: create it with `gatekeeper provision`") from error
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
