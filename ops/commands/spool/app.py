"""`gatekeeper spool`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ops.commands.command_app import agreed, command_app, command_settings, examples
from ops.commands.failure import CommandFailed, WrongUse
from ops.runtime.terminal import write_line

app = command_app(
    help="""List, export or discard what Pub/Sub refused of this machine's spool.

    Servers keep transactions on disk while Pub/Sub is unreachable, and publish them later. What
    Pub/Sub then refuses as invalid stays there: its client got 200, nothing publishes it, and it
    takes room in the spool. Export it, have its source send it again, then discard it. Servers may
    run meanwhile.""",
    epilog=examples(
        "gatekeeper spool list",
        "gatekeeper spool export --output refused.ndjson",
        "gatekeeper spool discard 17 18",
        "gatekeeper spool discard --all --yes",
    ),
)


@app.command("list")
def list_refused(
    *,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List what Pub/Sub refused, and how much waits to be published."""
    from ops.commands.spool import refused_output

    refused_output.print_list(command_settings(), as_json=as_json)


@app.command()
def export(
    *,
    output: Path | None = Option(
        None, "--output", "-o", metavar="FILE", help="Write here, not to standard output."
    ),
) -> None:
    """Write what Pub/Sub refused as NDJSON, with the body and the reason."""
    from ops.commands.spool import refused_output

    count = refused_output.export(command_settings(), output)
    if output:
        write_line(f"{output}: {count:,} refused transactions")


@app.command()
def discard(
    sequences: Annotated[
        list[int] | None, Argument(metavar="SEQUENCE", help="Numbers from `spool list`.")
    ] = None,
    *,
    everything: bool = Option(False, "--all", help="Every refused transaction."),
    yes: bool = Option(False, "--yes", "-y", help="Do not ask."),
) -> int:
    """Delete what Pub/Sub refused from the disk, permanently."""
    from ops.commands.spool import refused_output

    if not (sequences or everything):
        raise WrongUse("give sequences, or --all (see `gatekeeper spool list`)")
    settings = command_settings()
    found = refused_output.sequences(settings)
    chosen = [each for each in found if everything or each in (sequences or ())]
    missing = sorted(set(sequences or ()) - set(found))
    if missing:
        raise CommandFailed(f"Pub/Sub refused no {', '.join(map(str, missing))}")
    if chosen and not yes and not agreed(f"Delete {len(chosen):,} transactions?"):
        raise CommandFailed("nothing is discarded")
    count = refused_output.discard(settings, chosen) if chosen else 0
    write_line(f"{count:,} discarded")
    return 0
