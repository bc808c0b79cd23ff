"""`gatekeeper rewind`."""

from datetime import UTC, datetime

from typer import Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.failure import CommandFailed, WrongUse
from ops.commands.point_in_time import EXAMPLES, parse_point_in_time
from ops.runtime.terminal import write_line

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper rewind --to 3h",
        "gatekeeper rewind --to 2026-01-31T12:00Z --yes",
    )
)
def rewind(
    *,
    to: str = Option(metavar="TIME", help=f"Deliver again what was published since, {EXAMPLES}."),
    yes: bool = Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Have Pub/Sub deliver transactions again, from a time on.

    The ledger makes it safe: workers skip each transaction that was applied or rejected, and apply
    what the ledger lacks, such as after tables and ledger were restored to an earlier time. Each
    rejected transaction is published to the dead-letter topic once more.

    It needs a topic that keeps what is acknowledged: `gatekeeper provision --retention DAYS`. A
    time is refused that is not within the topic's retention and the ledger's LEDGER_DAYS, or that
    is after the oldest transaction of the backlog, which would be lost.
    """
    import asyncio

    from google.api_core.exceptions import MethodNotImplemented

    from ops.commands.google_failure import CALL_ERRORS, google_failure
    from ops.commands.rewind.subscription_rewind import rewind_subscription

    try:
        point = parse_point_in_time(to, datetime.now(UTC))
    except ValueError as error:
        raise WrongUse(f"--to: {error}") from None
    settings = command_settings()
    try:
        asyncio.run(rewind_subscription(settings, point, confirmed=yes))
    except MethodNotImplemented as error:
        raise CommandFailed(
            "this Pub/Sub cannot rewind: the embedded one keeps nothing that is acknowledged"
        ) from error
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
    write_line(f"Pub/Sub delivers again what was published since {point.isoformat()}")
