"""Which rejected transactions a command is about. Pure."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from ops.commands.failure import WrongUse
from ops.commands.point_in_time import parse_point_in_time
from schema import TABLE_NAME, Reason

NAMES: Final = ("source", "table", "reason", "since")


class Selection(NamedTuple):
    """At most `limit`; without ids and conditions, all. Conditions hold together."""

    limit: int
    ids: Collection[str] = ()
    source: str | None = None
    table: str | None = None
    reason: Reason | None = None
    since: datetime | None = None

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """SQL conditions on rows of `gatekeeper_rejected`, each with its parameter's value."""
        found = {}
        if self.ids:
            found["ids"] = ("id IN UNNEST(JSON_VALUE_ARRAY(@ids))", json.dumps(list(self.ids)))
        if self.source is not None:
            found["source"] = ("source = @source", self.source)
        if self.table:
            found["table"] = ("@table IN UNNEST(SPLIT(tables))", self.table)
        if self.reason:
            found["reason"] = ("reason = @reason", self.reason.value)
        if self.since:
            condition = "settled_at >= CAST(@since AS TIMESTAMP)"
            found["since"] = (condition, self.since.isoformat(" "))
        return found


def parse_selection(limit: int, ids: Collection[str], where: str, now: datetime) -> Selection:
    """Parse `source=shop,table=orders,reason=table_missing,since=2h`.

    Raises WrongUse.
    """
    values: dict[str, str] = {}
    for condition in where.split(",") if where else []:
        name, equals, value = (part.strip() for part in condition.partition("="))
        if not equals or name not in NAMES:
            raise WrongUse(f"--where takes {', '.join(NAMES)}, not {condition.strip()!r}")
        if name in values:
            raise WrongUse(f"--where has {name} twice: conditions hold together")
        values[name] = value
    return Selection(
        limit,
        ids,
        values.get("source"),
        _table(values.get("table")),
        _reason(values.get("reason")),
        _since(values.get("since"), now),
    )


def _table(text: str | None) -> str | None:
    if text is not None and not TABLE_NAME.fullmatch(text):
        raise WrongUse(f"--where table={text}: this is no table's name")
    return text


def _reason(text: str | None) -> Reason | None:
    if text is None:
        return None
    try:
        return Reason(text)
    except ValueError:
        raise WrongUse(f"--where reason={text}: use one of {', '.join(Reason)}") from None


def _since(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_point_in_time(text, now)
    except ValueError as error:
        raise WrongUse(f"--where since={text}: {error}") from None
