"""Parses `--where`, which chooses rejected transactions. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from ops.commands.failure import WrongUse
from ops.commands.point_in_time import parse_point_in_time
from ops.rejections.selection import Selection
from schema import TABLE_NAME, Reason

NAMES: Final = ("source", "table", "reason", "since")


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
