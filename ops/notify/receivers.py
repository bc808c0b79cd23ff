"""Who is notified of a rejection: the URLs of its API key and of its tables' contracts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ops.runtime import api_keys
from schema.contracts import TableContract


class Receiver(NamedTuple):
    """A URL, and the API key or table that names it: `kind` is `key` or `table`."""

    kind: str
    name: str
    url: str


class InvalidReceivers(Exception):
    """The API keys cannot be read, so who is notified is unknown."""


class Receivers(NamedTuple):
    """The URLs by API key and by table, as they were at one moment."""

    keys: Mapping[str, str]
    tables: Mapping[str, str]

    def all(self) -> list[Receiver]:
        """Return every key and table that names a URL."""
        return [
            *(Receiver("key", name, url) for name, url in self.keys.items()),
            *(Receiver("table", name, url) for name, url in self.tables.items()),
        ]

    def of(self, source: str, tables: tuple[str, ...]) -> dict[str, str]:
        """Return the URLs for a transaction, each with the table that it is about.

        It is the first that names the URL, else the transaction's first.
        """
        found: dict[str, str] = {}
        for table in tables:
            if table in self.tables:
                found.setdefault(self.tables[table], table)
        if source in self.keys:
            found.setdefault(self.keys[source], tables[0] if tables else "")
        return found


def read_receivers(keys_file: Path | None, contracts: Iterable[TableContract]) -> Receivers:
    """Return the receivers in force. Raises InvalidReceivers."""
    try:
        keys = [] if keys_file is None else api_keys.read(keys_file)
    except api_keys.InvalidKeys as error:
        raise InvalidReceivers(str(error)) from None
    return Receivers(
        {key.name: key.notify for key in keys if key.notify},
        {each.table: each.notify for each in contracts if each.notify},
    )
