"""The contract that says what a live table has, as far as a contract can."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ops.commands.contract.inferred_contract import (
    InferredTable,
    inferred_column,
    inferred_contract,
)
from ops.commands.contract.live_table import LiveColumn, LiveTable
from schema.contracts import ContractColumn, Granularity, Partition
from schema.odcs import is_label
from schema.types import UnknownType, parse_type
from schema.validators import RuleViolation, column_name

_SOURCE: Final = {"STRING": "VARCHAR", "BYTES": "VARBINARY", "BIGNUMERIC": "NUMERIC"}
"""The source type of a type with parameters, where it has another name."""


def infer_from_table(table: str, live: LiveTable) -> InferredTable:
    """Return the contract; what it cannot say of the table is in the remarks."""
    columns = [column for each in live.columns if (column := _column(live, each)) is not None]
    known = {each.name.casefold(): each.name for each in columns}
    contract = inferred_contract(
        table,
        columns,
        description=live.description.strip(),
        primary_key=_named(live.primary_key, known),
        partition=_partition(live, known),
        clustering=_named(live.clustering, known),
        labels={key: held for key, held in live.labels.items() if is_label(key, held)},
    )
    return InferredTable(contract, (), [*_remarks(live, known)])


def _column(live: LiveTable, column: LiveColumn) -> ContractColumn | None:
    declared = _declared(column.type)
    if declared is None or not _is_name(column.name):
        return None
    in_key = column.name.casefold() in map(str.casefold, live.primary_key)
    required = column.required or in_key
    return inferred_column(column.name, declared, column.description.strip(), required=required)


def _declared(live: str) -> str | None:
    """Return a source type for a type as in DDL, None where the schema rule has none."""
    base, bracket, sizes = live.partition("(")
    text = f"{_SOURCE.get(base, base) if bracket else base}{bracket}{sizes}"
    try:
        return text if parse_type(text).base == base else None
    except UnknownType:
        return None


def _is_name(text: str) -> bool:
    try:
        return column_name(text) == text
    except RuleViolation:
        return False


def _named(names: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns, or none where one of them is not in the contract."""
    found = tuple(known.get(each.casefold(), "") for each in names)
    return found if all(found) else ()


def _partition(live: LiveTable, known: Mapping[str, str]) -> Partition | None:
    column, kind = live.partition or ("", "")
    if column.casefold() not in known or kind not in list(Granularity):
        return None
    return Partition(known[column.casefold()], Granularity(kind), live.expiration_days)


def _remarks(live: LiveTable, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column in live.columns:
        if column.name.casefold() not in known:
            yield "", f"left out: the column {column.name}, {column.type}: no transaction writes it"
        elif column.required:
            yield column.name, "NOT NULL in BigQuery: `apply` keeps that in mode freeze only"
    if live.partition and _partition(live, known) is None:
        yield "", f"left out: the partition by {' '.join(live.partition)}"
    for kind, names in (("primary key", live.primary_key), ("clustering", live.clustering)):
        if names and not _named(names, known):
            yield "", f"left out: the {kind} {', '.join(names)}"
    for key, held in live.labels.items():
        if not is_label(key, held):
            yield "", f"left out: the label {key}: {held}"
