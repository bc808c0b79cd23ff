"""Create, list and revoke API keys: who may send, and under which name.

A key is shown once, when it is created; API_KEYS_FILE holds salted hashes alone. Running servers
take a change up with their next request. A key's name is the `source` of what it sends; two keys
may not share one.

For example:
  gatekeeper apikey create billing
  gatekeeper apikey list
  gatekeeper apikey revoke billing
"""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.commands.apikey import keys_file as apikey_file
from ops.commands.failure import CommandFailed, report
from ops.runtime.api_keys import InvalidKeys, mint, read
from ops.runtime.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and print it, once")
    create.add_argument("name", metavar="NAME", help="letters, digits, . _ - (64 at most)")
    actions.add_parser("list", help="show the names, and when each was created")
    revoke = actions.add_parser("revoke", help="end a key, at once and for good")
    revoke.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do what is asked with the file of the settings."""
    try:
        path = _path(settings)
        match options.action:
            case "create":
                _create(path, options.name)
            case "revoke":
                _revoke(path, options.name)
            case _:
                _list(path)
    except CommandFailed as failure:
        return report(failure)
    except (InvalidKeys, OSError) as error:
        return report(CommandFailed(str(error)))
    return 0


def _path(settings: Settings) -> Path:
    if settings.api_keys_file is None:
        raise CommandFailed(
            "API_KEYS_FILE is not set: name a file in .env, restart the servers, and try again"
        )
    return settings.api_keys_file


def _create(path: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise CommandFailed(
            "a name has 1 to 64 letters, digits and . _ -, and starts with a letter or digit"
        )
    text, key = mint(name, datetime.now(UTC).isoformat(timespec="seconds"))
    with apikey_file.changing(path) as keys:
        if any(each.name == name for each in keys):
            raise CommandFailed(f"{name} has a key already: revoke it, or choose another name")
        keys.append(key)
    # The key alone on standard output, so that a script can take it from there.
    sys.stderr.write(f"the key of {name}; it is not shown again:\n")
    sys.stdout.write(f"{text}\n")


def _revoke(path: Path, name: str) -> None:
    with apikey_file.changing(path) as keys:
        kept = [each for each in keys if each.name != name]
        if len(kept) == len(keys):
            raise CommandFailed(f"there is no key of {name}: gatekeeper apikey list")
        keys[:] = kept
    sys.stdout.write(f"revoked: {name}\n")


def _list(path: Path) -> None:
    table = Table("name", "created", header_style="bold")
    keys = read(path)
    for key in keys:
        table.add_row(key.name, key.created)
    console = Console()
    console.print(table if keys else f"no keys in {path}: every request gets 401")
