"""Converts dates and times to the canonical text of their BigQuery type.

The patterns accept the extended ISO 8601 form, to the second or the minute, with `T` or a space.
Python's `fromisoformat` accepts more forms, so it only checks the calendar. BigQuery keeps the
years 1 to 9999 and six digits of a second:
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#timestamp_type
"""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from schema.values import BadValue, json_type

_SECOND_DIGITS = 6
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.(?P<fraction>\d+))?)?"
_OFFSET = r"(?P<offset>[Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_DATE_TEXT = re.compile(_DATE, re.ASCII)
_TIME_TEXT = re.compile(_TIME, re.ASCII)
_DATETIME_TEXT = re.compile(rf"{_DATE}(?:[Tt ]{_TIME}{_OFFSET}?)?", re.ASCII)


def to_date(value: Any) -> str:
    """DATE: `2018-03-27`."""
    _match(_DATE_TEXT, value, "DATE", "2018-03-27")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise BadValue(f"there is no such date: {error}") from None


def to_time(value: Any) -> str:
    """TIME: `11:58:28` or `11:58:28.988414`."""
    match = _match(_TIME_TEXT, value, "TIME", "11:58:28.988414")
    _check_fraction(match["fraction"])
    try:
        return time.fromisoformat(value).isoformat()
    except ValueError as error:
        raise BadValue(f"there is no such time: {error}") from None


def to_datetime(value: Any) -> str:
    """DATETIME: `2018-03-27 11:58:28` or with `.988414`; it has no offset."""
    match = _match(_DATETIME_TEXT, value, "DATETIME", "2018-03-27 11:58:28.988414")
    if match["offset"]:
        raise BadValue("DATETIME has no offset: remove it, or send TIMESTAMP")
    return _parse(match).isoformat(" ")


def to_timestamp(value: Any) -> str:
    """TIMESTAMP: in UTC, `2018-03-27 11:58:28+00:00` or with `.988414`; no offset means UTC."""
    at = _parse(_match(_DATETIME_TEXT, value, "TIMESTAMP", "2018-03-27T11:58:28.988414Z"))
    if at.tzinfo is None:
        return at.isoformat(" ") + "+00:00"
    try:
        return at.astimezone(UTC).isoformat(" ")
    except OverflowError:
        raise BadValue("in UTC the year is not in 1 to 9999") from None


def _match(pattern: re.Pattern[str], value: Any, name: str, example: str) -> re.Match[str]:
    if type(value) is not str:
        raise BadValue(f"{name} takes an ISO 8601 string, not {json_type(value)}")
    match = pattern.fullmatch(value)
    if match is None:
        raise BadValue(f'{name} takes an ISO 8601 string such as "{example}"')
    return match


def _parse(match: re.Match[str]) -> datetime:
    _check_fraction(match["fraction"])
    try:
        return datetime.fromisoformat(match.group().upper())
    except ValueError as error:
        raise BadValue(f"there is no such date and time: {error}") from None


def _check_fraction(digits: str | None) -> None:
    # fromisoformat drops every digit after the sixth.
    if digits and digits[_SECOND_DIGITS:].strip("0"):
        raise BadValue("BigQuery keeps 6 digits of a second: round the value")
