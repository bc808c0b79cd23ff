"""`gatekeeper deadletter`."""

import asyncio
from typing import Annotated, Any, Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, examples
from ops.commands.deadletter.selection import Selection
from ops.commands.failure import CommandFailed
from ops.runtime.process import settings_or_exit
from schema.ledger import Reason

Format = Annotated[Literal["text", "json"], Option("--format", help="How to print.")]
Limit = Annotated[int, Option(min=1, metavar="N", help="Pull at most N dead letters.")]
QuietSeconds = Annotated[
    float, Option(metavar="S", help="Stop pulling when none has arrived for S seconds.")
]
Ids = Annotated[list[str] | None, Argument(metavar="ID", help="Ids of dead letters.")]
ForReason = Annotated[
    Reason | None,
    Option("--reason", metavar="REASON", help=f"Only those rejected for it: {', '.join(Reason)}."),
]
DryRun = Annotated[bool, Option("--dry-run", help="Only print what would happen.")]

LIMIT = 1_000
QUIET_SECONDS = 1.0

app = command_app(
    help="""List, show, replay or discard rejected transactions.

    `list` and `show` change nothing. `discard` and `replay` remove a dead letter; `replay` removes
    it once the transaction is published again. A replayed transaction keeps its id, so it is
    applied once, however often you replay it. If another body already uses the id
    (idempotency_conflict), `replay` refuses it; --new-id replays it under a new id, which is always
    the same for one dead letter.

    Fix the cause first: create the table, or change the column. Then replay. Until a worker applies
    the replay, its id counts as not settled. If two operators run this command at the same time,
    each sees only the dead letters that the other does not hold.""",
    epilog=examples(
        "gatekeeper deadletter list",
        "gatekeeper deadletter show 3f2a…",
        "gatekeeper deadletter replay --reason table_missing --dry-run",
        "gatekeeper deadletter replay --reason table_missing",
        "gatekeeper deadletter replay --reason idempotency_conflict --new-id",
        "gatekeeper deadletter show --reason invalid_schema --format json > kept.ndjson",
        "gatekeeper deadletter discard --reason invalid_schema",
    ),
)


@app.command("list")
def list_letters(
    *,
    newest: int = Option(20, min=1, metavar="N", help="Show the N newest dead letters."),
    output: Format = "text",
    limit: Limit = LIMIT,
    quiet_seconds: QuietSeconds = QUIET_SECONDS,
) -> int:
    """Count dead letters by reason and table, and list the newest."""
    return _run("list", Selection(limit, quiet_seconds), as_json=output == "json", newest=newest)


@app.command()
def show(
    ids: Ids = None,
    *,
    reason: ForReason = None,
    output: Format = "text",
    limit: Limit = LIMIT,
    quiet_seconds: QuietSeconds = QUIET_SECONDS,
) -> int:
    """Print dead letters, with the body as it was sent."""
    if not (ids or reason):
        raise _nothing_chosen("--reason")
    return _run(
        "show", Selection(limit, quiet_seconds, ids or (), reason), as_json=output == "json"
    )


@app.command()
def replay(
    ids: Ids = None,
    *,
    reason: ForReason = None,
    dry_run: DryRun = False,
    new_id: bool = Option(False, "--new-id", help="Give those a new id whose id is taken."),
    output: Format = "text",
    limit: Limit = LIMIT,
    quiet_seconds: QuietSeconds = QUIET_SECONDS,
) -> int:
    """Send transactions to the workers again."""
    if not (ids or reason):
        raise _nothing_chosen("--reason")
    selection = Selection(limit, quiet_seconds, ids or (), reason)
    return _run("replay", selection, as_json=output == "json", dry_run=dry_run, new_id=new_id)


@app.command()
def discard(
    ids: Ids = None,
    *,
    reason: ForReason = None,
    everything: bool = Option(False, "--all", help="Every dead letter."),
    dry_run: DryRun = False,
    output: Format = "text",
    limit: Limit = LIMIT,
    quiet_seconds: QuietSeconds = QUIET_SECONDS,
) -> int:
    """Remove dead letters permanently. The ledger still has them as `rejected`."""
    if not (ids or reason or everything):
        raise _nothing_chosen("--reason, or --all")
    selection = Selection(limit, quiet_seconds, ids or (), reason)
    return _run("discard", selection, as_json=output == "json", dry_run=dry_run)


def _nothing_chosen(options: str) -> CommandFailed:
    return CommandFailed(f"give ids, or {options} (see `gatekeeper deadletter list`)")


def _run(action: str, selection: Selection, *, as_json: bool, **options: Any) -> int:
    from google.api_core.exceptions import NotFound

    from ops.commands.deadletter.actions import ACTIONS
    from ops.commands.google_failure import CALL_ERRORS, google_failure

    settings = settings_or_exit()
    try:
        return asyncio.run(ACTIONS[action](settings, selection, as_json=as_json, **options))
    except NotFound as error:
        raise CommandFailed(f"{error.message}: create it with `gatekeeper provision`") from error
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
