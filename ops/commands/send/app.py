"""`gatekeeper send`."""

import contextlib
import os
import urllib.parse
from pathlib import Path

from typer import Argument, Option

from ops.commands.command_app import Json, command_app, command_settings, examples, number_between
from ops.commands.failure import CommandFailed, WrongUse, describe_os_error

MAX_RUN_CHARACTERS = 200
_KEY_VARIABLE = "GATEKEEPER_API_KEY"

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper send orders.ndjson",
        "gatekeeper send orders.ndjson --url https://gatekeeper.example.com --key-file ~/.key",
        "gatekeeper send orders.ndjson --ordering-key import --run orders-2026-07",
        "zcat orders.gz | gatekeeper send - --rejected rejected.ndjson",
        "jq -r .body orders.ndjson.rejected.ndjson > fixed.ndjson     then correct and send it",
    )
)
def send(
    file: Path = Argument(metavar="FILE", help="One transaction a line; - is standard input."),
    *,
    url: str | None = Option(None, help="The server (the socket of supervisord.conf)."),
    key_file: Path | None = Option(
        None, metavar="FILE", help=f"Has the API key (${_KEY_VARIABLE})."
    ),
    rejected: Path | None = Option(
        None, metavar="FILE", help="Where to write rejected lines (FILE.rejected.ndjson)."
    ),
    concurrency: int = Option(16, min=1, max=256, metavar="N", help="Parallel requests."),
    ordering_key: str | None = Option(
        None, metavar="KEY", help="One ordering key for all lines: keeps their order."
    ),
    run: str | None = Option(
        None, metavar="NAME", help="The name of the run (the file's SHA-256)."
    ),
    patience: float = Option(
        60.0,
        metavar="SECONDS",
        parser=number_between(0, 86_400),
        help="How long to retry a line before the run stops.",
    ),
    as_json: Json = False,
) -> int:
    """Send a file of transactions, one JSON object a line, to the server.

    Lines whose first activity names the same table are sent in order, each after the answer to the
    one before. Lines of different tables are sent in parallel. If transactions on several tables
    depend on one another, use --ordering-key, which keeps the order of all lines.

    You can send the same file again: each line's Idempotency-Key is made from the contents of the
    file and the line number, so accepted lines are not applied twice. If you change the file, all
    its lines count as new; to avoid that, give the same --run NAME every time.

    Standard input, a pipe or a FIFO is read to its end before the first line is sent.

    A line that the server rejects goes to a file with its verdict, and the run continues. If the
    server is unreachable or busy, it retries for up to --patience seconds, then stops. Run the same
    command again to resume. The exit status is 1 if a line was rejected, if nothing was
    sent, or if the run stopped.
    """
    import asyncio

    from ops.commands.send.line_sender import CannotSend, LineSender, session
    from ops.commands.send.send_report import RejectedLines, SendReport
    from ops.commands.send.source_file import SourceFile
    from ops.commands.send.transaction_lines import content_name, lines

    command_settings()
    server, named = _checked_url(url or _fleet_url()), run and _checked_run(run)
    with contextlib.ExitStack() as stack:
        try:
            source = SourceFile(file, stack)
            key = _api_key(key_file)
            kept = stack.enter_context(RejectedLines(rejected or source.rejected_path()))
            source.check_is_not(kept.file)
            content = source.read()
            report = SendReport(os.fstat(content.fileno()).st_size, kept)
            name = named or content_name(content)
        except OSError as error:
            raise CommandFailed(describe_os_error(error)) from error

        async def send_lines() -> None:
            with report.shown():
                async with session(server, key, concurrency) as http:
                    sender = LineSender(
                        http,
                        run=name,
                        ordering_key=ordering_key,
                        concurrency=concurrency,
                        patience=patience,
                        on_verdict=report.on_verdict,
                        on_retry=report.on_retry,
                    )
                    await sender.send(lines(content))

        try:
            asyncio.run(send_lines())
        except (CannotSend, OSError) as error:
            again = "run the same command again to resume"
            raise CommandFailed(f"stopped: {error}; {again}") from error
        finally:
            report.print_summary(as_json=as_json)
    if not report.accepted + report.rejected:
        raise CommandFailed(f"nothing was sent: {file} has no transactions")
    return 1 if report.rejected else 0


def _fleet_url() -> str:
    from ops.fleet.config import FleetConfig

    return f"http://{FleetConfig.read().reachable}"


def _api_key(file: Path | None) -> str | None:
    try:
        text = file.read_text() if file else os.environ.get(_KEY_VARIABLE, "")
    except UnicodeDecodeError:
        raise CommandFailed(f"{file} is no key: it is not text") from None
    key = text.strip()
    if not key.isprintable() or not key.isascii():
        raise CommandFailed("the API key is not one line of printable ASCII characters")
    return key or None


def _checked_run(name: str) -> str:
    if len(name) > MAX_RUN_CHARACTERS or not name.isprintable() or not name.isascii():
        raise WrongUse(f"--run takes at most {MAX_RUN_CHARACTERS} printable ASCII characters")
    return name


def _checked_url(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:  # the port is no number
        usable = False
    if not usable or not parts.hostname:
        raise WrongUse(f"--url {url!r}: expected http://host:port or https://host")
    return url
