"""`gatekeeper notify`."""

import contextlib
import time
from typing import TYPE_CHECKING

from typer import Argument

from ops.commands.command_app import Json, command_app, command_settings, examples
from ops.commands.failure import CommandFailed, describe_os_error
from ops.runtime.terminal import write_json, write_line

if TYPE_CHECKING:
    from ops.notify import Receiver, Reply
    from ops.runtime.settings import Settings

app = command_app(
    help="""List, test or set up the webhooks that rejections are reported to.

    A webhook is named by an API key (`gatekeeper apikey create NAME --notify URL`), or by the
    contract of a table (`gatekeeper.notify`). NAME is that of the key or the table; where both have
    it, write key/NAME or table/NAME.""",
    epilog=examples(
        "gatekeeper notify list",
        "gatekeeper notify secret shop          what the receiver checks signatures with",
        "gatekeeper notify test shop            send a sample, and print the answer",
    ),
)
NAME = Argument(metavar="NAME", help="An API key or a table.")


@app.command("list")
def list_receivers(*, as_json: Json = False) -> None:
    """List the webhooks, and those of this machine's notifier that fail or are switched off."""
    settings = command_settings()
    rows = _rows(settings)
    if as_json:
        write_json(rows)
        return
    from rich.table import Table

    from ops.commands.console import PlainConsole

    table = Table("kind", "name", "url", "state", "error", header_style="bold")
    for row in rows:
        table.add_row(*row.values())
    PlainConsole().print(table if rows else "no API key and no contract names a webhook")


def _rows(settings: "Settings") -> list[dict[str, str]]:
    from ops.notify import Outbox, outbox_file

    try:
        with contextlib.closing(Outbox(outbox_file(settings))) as outbox:
            states = {each.url: each for each in outbox.receivers()}
    except OSError as error:
        raise CommandFailed(f"STATE_DIR cannot be used: {describe_os_error(error)}") from None
    rows = []
    for each in _receivers(settings):
        state = states.get(each.url)
        word = "ok" if state is None else "off" if state.is_off else "failing"
        rows.append({**each._asdict(), "state": word, "error": state.error if state else ""})
    return rows


@app.command()
def secret(name: str = NAME, *, as_json: Json = False) -> None:
    """Print the secret that the receiver checks the signatures with (Standard Webhooks)."""
    from ops.notify import read_notify_keys, secret_of

    settings = command_settings()
    receiver = _receiver(settings, name)
    if settings.notify_key_file is None:
        raise CommandFailed("NOTIFY_KEY_FILE is not set: name a file in .env")
    text = secret_of(receiver.url, read_notify_keys(settings.notify_key_file)[0])
    if as_json:
        write_json({"url": receiver.url, "secret": text})
    else:
        write_line(text)


@app.command("test")
def send_test(name: str = NAME, *, as_json: Json = False) -> int:
    """Send a sample and print the answer. One that is accepted switches the receiver on again."""
    import asyncio

    settings = command_settings()
    receiver = _receiver(settings, name)
    reply = asyncio.run(_send_sample(settings, receiver.url))
    if as_json:
        write_json({"url": receiver.url, "status": reply.status or None, "text": reply.text})
    else:
        write_line(f"{receiver.url}: {reply.status or 'no answer'} {reply.text}".rstrip())
    if not reply.is_accepted:
        return 1
    from ops.notify import Outbox, outbox_file

    with contextlib.closing(Outbox(outbox_file(settings))) as outbox:
        outbox.switch_on(receiver.url)
    return 0


async def _send_sample(settings: "Settings", url: str) -> "Reply":
    from ops.notify import open_webhooks, sample

    try:
        async with open_webhooks(settings) as webhooks:
            return await webhooks.send(sample(url, time.time()))
    except OSError as error:
        raise CommandFailed(str(error)) from None


def _receivers(settings: "Settings") -> "list[Receiver]":
    import sqlite3

    from ops.notify import InvalidReceivers, read_receivers
    from ops.runtime.contracts_in_force import ContractsInForce
    from schema.contracts import InvalidContracts

    try:
        contracts = ContractsInForce.load(settings).current.tables
        return read_receivers(settings.api_keys_file, contracts.values()).all()
    except (InvalidReceivers, InvalidContracts, sqlite3.Error) as error:
        raise CommandFailed(str(error)) from None


def _receiver(settings: "Settings", name: str) -> "Receiver":
    found = {
        each.url: each
        for each in _receivers(settings)
        if name in {each.name, f"{each.kind}/{each.name}"}
    }
    if len(found) > 1:
        raise CommandFailed(f"{name} is a key and a table: write key/{name} or table/{name}")
    if not found:
        raise CommandFailed(f"no key and no table {name} has a webhook: gatekeeper notify list")
    return next(iter(found.values()))
