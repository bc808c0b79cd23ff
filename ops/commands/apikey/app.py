"""`gatekeeper apikey`."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer import Argument, Option

from ops.commands.command_app import Json, command_app, command_settings, examples
from ops.commands.failure import CommandFailed, WrongUse, describe_os_error
from ops.runtime.terminal import write_error, write_json, write_line

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(s|min)")
_LISTED = ("name", "role", "tables", "created", "rate", "burst", "notify")
_PATTERN = re.compile(r"[A-Za-z*][A-Za-z0-9_*]{0,1023}")
_MAX_RATE = 1_000_000
_PERIODS = {"s": 1, "min": 60}

app = command_app(
    help="""Create, list or revoke API keys.

    A client sends its key with every request. The key's name is the `source` of what it sends;
    names are unique. API_KEYS_FILE holds salted hashes only. Running servers apply changes
    immediately.""",
    epilog=examples(
        "gatekeeper apikey create billing",
        "gatekeeper apikey create orders --rate 200/s --burst 400 --tables 'orders_*,payments'",
        "gatekeeper apikey create alice --role operate",
        "gatekeeper apikey create shop --notify https://shop.example.com/rejections",
        "gatekeeper apikey list",
        "gatekeeper apikey revoke billing",
    ),
)


@app.command()
def create(
    name: str = Argument(metavar="NAME", help="1 to 64 letters, digits and . _ -"),
    rate: str = Option(
        "", metavar="N/s|N/min", help="The most transactions; more get 429. No limit by default."
    ),
    burst: int = Option(
        0, min=0, help="How many may come at the same instant. By default those of one second."
    ),
    role: str = Option(
        "send", metavar="send|operate", help="`operate` also sees the console: the whole fleet."
    ),
    tables: str = Option(
        "*", metavar="PATTERN,…", help="The tables that it may write; `*` is any text."
    ),
    *,
    notify: str = Option(
        "", metavar="URL", help="Where its rejected transactions are reported, by a webhook."
    ),
    as_json: Json = False,
) -> None:
    """Create a key and print it. It is not shown again."""
    from ops.commands.apikey import keys_file
    from ops.runtime.api_keys import ROLES, mint

    if not NAME.fullmatch(name):
        raise WrongUse(
            "a name has 1 to 64 letters, digits and . _ -, and starts with a letter or digit"
        )
    if role not in ROLES:
        raise WrongUse(f"--role {role}: expected {' or '.join(ROLES)}")
    limits = _rate_limit(rate, burst)
    allowed = {"role": role, "tables": _patterns(tables), **limits}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    with _keys_path() as path:
        text, key = mint(name, created, **allowed, notify=_webhook(notify))
        with keys_file.changing(path) as keys:
            if any(each.name == name for each in keys):
                raise CommandFailed(f"{name} already has a key: revoke it or choose another name")
            keys.append(key)
    if as_json:
        write_json({"name": name, "key": text})
        return
    # Standard output has only the key, for scripts.
    write_error(f"the key of {name}; it is not shown again:")
    write_line(text)


def _patterns(text: str) -> tuple[str, ...]:
    patterns = tuple(pattern.strip() for pattern in text.split(","))
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise WrongUse(f"--tables: {pattern!r} has other characters than a table, or *")
    return patterns


def _webhook(url: str) -> str:
    from schema import BadWebhookUrl, check_webhook_url

    if url and command_settings().notify_key_file is None:
        raise CommandFailed("--notify needs NOTIFY_KEY_FILE, which webhooks are signed with")
    try:
        return url and check_webhook_url(url)
    except BadWebhookUrl as fault:
        raise WrongUse(f"--notify: {fault}") from None


def _rate_limit(rate: str, burst: int) -> dict[str, Any]:
    if not rate:
        if burst:
            raise WrongUse("--burst needs --rate")
        return {}
    match = _RATE.fullmatch(rate)
    if match is None or not 0 < float(match[1]) <= _MAX_RATE:
        raise WrongUse(
            f"--rate {rate}: expected a number above 0, up to {_MAX_RATE:,}, and a period: "
            "200/s or 30/min"
        )
    each_second = float(match[1]) / _PERIODS[match[2]]
    return {"rate": each_second, "burst": burst or max(1, math.ceil(each_second))}


@app.command()
def revoke(name: str = Argument(metavar="NAME", help="As `list` shows it.")) -> None:
    """Revoke a key permanently. Running servers refuse it immediately."""
    from ops.commands.apikey import keys_file

    with _keys_path() as path, keys_file.changing(path) as keys:
        kept = [each for each in keys if each.name != name]
        if len(kept) == len(keys):
            raise CommandFailed(f"there is no key of {name}: gatekeeper apikey list")
        keys[:] = kept
    write_line(f"revoked: {name}")


@app.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """List the names of the keys, what each may do, when it was created, and its rate."""
    from rich.table import Table

    from ops.commands.console import PlainConsole
    from ops.runtime.api_keys import read

    with _keys_path() as path:
        keys = read(path)
    if as_json:
        write_json([{name: getattr(key, name) for name in _LISTED} for key in keys])
        return
    table = Table("name", "role", "tables", "created", "rate", "burst", header_style="bold")
    for key in keys:
        limit = ("", "") if key.rate is None else (f"{key.rate:g}/s", f"{key.burst:,}")
        table.add_row(key.name, key.role, ",".join(key.tables), key.created, *limit)
    PlainConsole().print(table if keys else f"no keys in {path}: every request gets 401")


@contextmanager
def _keys_path() -> Iterator[Path]:
    """Yield the file of keys; its faults are failures of the command."""
    path = command_settings().api_keys_file
    if path is None:
        raise CommandFailed(
            "API_KEYS_FILE is not set: name a file in .env, restart the servers, and try again"
        )
    try:
        yield path
    except OSError as error:
        raise CommandFailed(describe_os_error(error)) from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None
