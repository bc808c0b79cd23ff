"""`gatekeeper resume`."""

from typing import TYPE_CHECKING

from ops.commands.command_app import Json, command_app, command_settings, examples
from ops.runtime.terminal import write_error, write_json, write_line

if TYPE_CHECKING:
    from ops.runtime.halts import Halt
    from ops.runtime.settings import Settings

TIMEOUT_SECONDS = 60.0

app = command_app()


@app.command(epilog=examples("gatekeeper status        why they have halted", "gatekeeper resume"))
def resume(*, as_json: Json = False) -> None:
    """Let halted workers go on, on every machine.

    A worker halts when it would reject nearly everybody's transactions, since the set-up is then
    probably wrong. Repair it first: a worker that rejects as many again halts again. Workers that
    have not halted are not affected.
    """
    from ops.commands.google_failure import CALL_ERRORS, google_failure
    from ops.runtime import bigquery, clients
    from schema import RESUMES_TABLE

    settings = command_settings()
    table = f"`{settings.dataset_path}.{RESUMES_TABLE}`"
    script = (
        f"CREATE TABLE IF NOT EXISTS {table} (resumed_at TIMESTAMP);\n"
        f"INSERT INTO {table} (resumed_at) VALUES (CURRENT_TIMESTAMP());"  # our own names
    )
    found = _halts(settings)
    if not as_json:
        _print(found, settings)
    try:
        bigquery.query(clients.warehouse(settings), script, timeout=TIMEOUT_SECONDS)
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
    if as_json:
        halted = None if found is None else [each._asdict() for each in found]
        write_json({"halted": halted})
        return
    write_line("halted workers go on within half a minute: `gatekeeper status` shows them")


def _halts(settings: "Settings") -> "list[Halt] | None":
    """Return the halted workers; None, with a line on standard error, if they are not known."""
    from ops.runtime.halts import HALT_METRICS, halts
    from ops.runtime.pushed_metrics import read_pushed

    try:
        return halts(read_pushed(settings, HALT_METRICS))
    except OSError as error:
        write_error(f"which workers have halted is not known: {error}")
        return None


def _print(found: "list[Halt] | None", settings: "Settings") -> None:
    for each in found or ():
        write_line(str(each))
    if found == []:
        seen = "the Pushgateway" if settings.pushgateway_prometheus_host else settings.instance
        write_line(f"no worker has halted, as far as {seen} has it")
