"""The differences between two versions of a column, and whether they break something.

A change breaks where the new contract refuses a value that the old one takes, or where readers
find other values than before. So every rule may become wider and none may become narrower.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from schema.contracts import ContractColumn

type Bound = tuple[Any, str, bool]
"""A limit to compare, as text, and whether it is itself outside."""

type Found = tuple[bool, str]
"""Whether the change breaks something, and what has changed."""


def column_changes(old: ContractColumn, new: ContractColumn) -> Iterator[Found]:
    yield from _type(old, new)
    if old.required != new.required:
        yield new.required, "is required now" if new.required else "is no longer required"
    yield from _bounds(old, new)
    yield from _lengths(old, new)
    yield from _pattern(old.pattern, new.pattern)
    yield from _enum(old.enum, new.enum)
    if old.transform != new.transform:
        yield True, f"transform: {old.transform or 'none'} → {new.transform or 'none'}"
    yield from _words(old, new)


def added_column(column: ContractColumn) -> Found:
    """Transactions of the old contract do not have the column: a required one refuses them."""
    kind = "required column" if column.required else "column"
    return column.required, f"new {kind}, {column.type.bigquery}"


def _type(old: ContractColumn, new: ContractColumn) -> Iterator[Found]:
    """Compare types: a wider one breaks nothing where the gate takes the values of the old one.

    BigQuery can also make an INT64 column NUMERIC. But a transaction that declares INTEGER for it
    is then refused.
    """
    if old.type != new.type:
        takes = new.type.takes(old.type)
        how = "wider type" if takes else "other type"
        yield not takes, f"{how}: {old.type.bigquery} → {new.type.bigquery}"
    elif old.declared.upper() != new.declared.upper():
        yield False, f"source type: {old.declared} → {new.declared}"


def _bounds(old: ContractColumn, new: ContractColumn) -> Iterator[Found]:
    if old.type.base != new.type.base:
        return
    for side, bound, tighter in (
        ("minimum", _lower, _above),
        ("maximum", _upper, _below),
    ):
        before, after = bound(old), bound(new)
        if before != after:
            breaks = after is not None and (before is None or tighter(after, before))
            yield breaks, f"{side}: {_written(before)} → {_written(after)}"


def _lower(column: ContractColumn) -> Bound | None:
    found = _limits(column, column.minimum, column.exclusive_minimum)
    return max(found, default=None, key=lambda bound: (bound[0], bound[2]))


def _upper(column: ContractColumn) -> Bound | None:
    found = _limits(column, column.maximum, column.exclusive_maximum)
    return min(found, default=None, key=lambda bound: (bound[0], not bound[2]))


def _limits(column: ContractColumn, inside: str | None, outside: str | None) -> list[Bound]:
    number: Callable[[str], Any] = (
        Decimal if column.type.base in {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"} else str
    )
    given = ((inside, False), (outside, True))
    return [(number(text), text, excluded) for text, excluded in given if text is not None]


def _above(new: Bound, old: Bound) -> bool:
    return (new[0], new[2]) > (old[0], old[2])


def _below(new: Bound, old: Bound) -> bool:
    return (new[0], not new[2]) < (old[0], not old[2])


def _written(bound: Bound | None) -> str:
    return "none" if bound is None else f"{bound[1]}{' (excluded)' if bound[2] else ''}"


def _lengths(old: ContractColumn, new: ContractColumn) -> Iterator[Found]:
    if old.min_length != new.min_length:
        breaks = (new.min_length or 0) > (old.min_length or 0)
        yield breaks, f"minLength: {_or_none(old.min_length)} → {_or_none(new.min_length)}"
    if old.max_length != new.max_length:
        longest = old.max_length
        breaks = new.max_length is not None and (longest is None or new.max_length < longest)
        yield breaks, f"maxLength: {_or_none(old.max_length)} → {_or_none(new.max_length)}"


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)


def _pattern(old: str | None, new: str | None) -> Iterator[Found]:
    """Of two patterns it cannot be decided whether one takes all texts of the other."""
    if old != new:
        yield new is not None, f"pattern: {old or 'none'} → {new or 'none'}"


def _enum(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Found]:
    if not old and new:
        yield True, f"only these values now: {', '.join(new)}"
    elif old and not new:
        yield False, "any value now"
    else:
        removed = [value for value in old if value not in new]
        added = [value for value in new if value not in old]
        if removed:
            yield True, f"values removed: {', '.join(removed)}"
        if added:
            yield False, f"values added: {', '.join(added)}"


def _words(old: ContractColumn, new: ContractColumn) -> Iterator[Found]:
    """Compare what only people and other tools read."""
    if old.classification != new.classification:
        before, after = old.classification or "none", new.classification or "none"
        yield False, f"classification: {before} → {after}"
    if old.description != new.description:
        yield False, "other description"
    if old.examples != new.examples:
        yield False, "other examples"
    if old.name != new.name:
        yield False, f"written {new.name} now"
