"""Send a file of transactions, one JSON object a line, to the server.

Lines whose first activity names the same table are sent in the order of the file, each after the
answer to the one before; lines of different tables go side by side. Transactions on several tables
that depend on one another need --ordering-key, which keeps the order of all lines.

Sending the same file again is harmless: each line's Idempotency-Key is made of the file's content
and the line's number, so what was accepted before is not applied twice. After a change to the file
its lines count as new; give --run NAME the first time and again to keep them known by their number.

A line that the server rejects goes to a file with its verdict, and holds up nothing. A server that
is away or busy is tried again; when --patience is over the run stops, and the same command goes on.

For example:
  gatekeeper send orders.ndjson
  gatekeeper send orders.ndjson --url https://gatekeeper.example.com --key-file ~/.gatekeeper-key
  gatekeeper send orders.ndjson --ordering-key import --run orders-2026-07
  jq -r .body orders.ndjson.rejected.ndjson > mended.ndjson      then mend it and send it
"""

import argparse
import asyncio
import os
import urllib.parse
from pathlib import Path

import aiohttp

from ops.commands.failure import CommandFailed, report
from ops.commands.send.client import REQUEST_SECONDS, CannotSend, Sender
from ops.commands.send.source import lines, run_name
from ops.commands.send.summary import Rejected, Report
from ops.runtime.settings import Settings

URL = "http://127.0.0.1:8080"
CONCURRENCY = 16
PATIENCE_SECONDS = 60.0
MAX_RUN_CHARACTERS = 200
_KEY_VARIABLE = "GATEKEEPER_API_KEY"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="one transaction a line")
    parser.add_argument("--url", default=URL, help=f"the server ({URL})")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help=f"has the API key (else ${_KEY_VARIABLE})"
    )
    parser.add_argument(
        "--rejected", type=Path, metavar="FILE", help="for rejected lines (FILE.rejected.ndjson)"
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        choices=range(1, 257),
        default=CONCURRENCY,
        metavar="N",
        help=f"requests at once, 1 to 256 ({CONCURRENCY})",
    )
    parser.add_argument(
        "--ordering-key", metavar="KEY", help="one for all lines: keeps their order"
    )
    parser.add_argument("--run", metavar="NAME", help="the run's name (the file's SHA-256)")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long a line is tried again before the run stops ({PATIENCE_SECONDS:g})",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Send the file; 1 when a line was rejected or the run stopped early."""
    del settings  # the server is found by --url: it may be anyone's
    rejected = options.rejected or options.file.with_name(f"{options.file.name}.rejected.ndjson")
    try:
        key, name = _api_key(options.key_file), _run_name(options)
        _check_url(options.url)
        shown = Report(options.file.stat().st_size, Rejected(rejected))
    except (CommandFailed, OSError) as error:
        return report(CommandFailed(str(error)))
    failure: CommandFailed | None = None
    try:
        asyncio.run(_send(options, key, name, shown))
    except (CannotSend, OSError) as error:
        failure = CommandFailed(f"stopped: {error}; the same command goes on from there")
    finally:
        shown.summary()
    if failure is not None:
        return report(failure)
    return 1 if shown.rejected else 0


async def _send(options: argparse.Namespace, key: str | None, name: str, shown: Report) -> None:
    with shown, options.file.open("rb") as opened:
        async with aiohttp.ClientSession(
            options.url,
            connector=aiohttp.TCPConnector(limit=options.concurrency),
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        ) as session:
            sender = Sender(
                session,
                run=name,
                ordering_key=options.ordering_key,
                concurrency=options.concurrency,
                patience=options.patience,
                told=shown.told,
                retried=shown.tried_again,
            )
            await sender.send(lines(opened))


def _api_key(file: Path | None) -> str | None:
    key = file.read_text().strip() if file else os.environ.get(_KEY_VARIABLE, "").strip()
    if not key.isprintable() or not key.isascii():
        raise CommandFailed("the API key is not one line of plain characters")
    return key or None


def _run_name(options: argparse.Namespace) -> str:
    name: str = options.run or run_name(options.file)
    if len(name) > MAX_RUN_CHARACTERS or not name.isprintable() or not name.isascii():
        raise CommandFailed(f"--run is at most {MAX_RUN_CHARACTERS} plain characters")
    return name


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
        raise CommandFailed(f"--url {url!r}: expected http://host:port or https://host")
