"""The contract that sample transactions suggest for a table."""

from collections.abc import Iterable, Iterator
from typing import Final

from ops.commands.contract.inferred_contract import (
    Guess,
    InferredTable,
    inferred_column,
    inferred_contract,
)
from ops.commands.contract.table_samples import ColumnSamples, TableSamples
from schema.contracts import ContractColumn
from schema.odcs import KEY_TYPES, MAX_KEY_COLUMNS, PARTITION_TYPES
from schema.types import length_of, parse_type

MIN_ROWS: Final = 20
"""Fewer rows show neither an enumeration nor that a column is unique."""
MAX_ENUM, MAX_ENUM_LENGTH, ROWS_PER_VALUE = 20, 50, 5
_IDENTIFIERS: Final = KEY_TYPES & {"INT64", "STRING", "NUMERIC", "BIGNUMERIC"}


def infer_from_samples(table: str, samples: TableSamples) -> InferredTable:
    columns = samples.columns.values()
    contract = inferred_contract(table, [_column(each, samples) for each in columns])
    guesses = (*_key(samples), *_enums(columns), *_partitions(columns, samples))
    return InferredTable(contract, guesses, [*_other_types(columns)])


def _column(column: ColumnSamples, samples: TableSamples) -> ContractColumn:
    required = _is_required(column, samples)
    return inferred_column(column.name, _declared(column), required=required)


def _is_required(column: ColumnSamples, samples: TableSamples) -> bool:
    return 0 < samples.rows == column.filled and not column.is_set_to_null


def _declared(column: ColumnSamples) -> str:
    """Return the source type that takes all values sent, or else the most frequent one."""
    ranked = [text for text, _ in column.declared.most_common()]
    wide = [text for text in ranked if all(_takes(text, other) for other in ranked)]
    return (wide or ranked)[0]


def _takes(wide: str, narrow: str) -> bool:
    length, other = length_of(wide), length_of(narrow)
    has_room = length is None or (other is not None and other <= length)
    return has_room and parse_type(wide).takes(parse_type(narrow))


def _other_types(columns: Iterable[ColumnSamples]) -> Iterator[tuple[str, str]]:
    for column in columns:
        chosen = _declared(column)
        others = [
            f"{text} ({count:,} times)"
            for text, count in column.declared.most_common()
            if not _takes(chosen, text)
        ]
        if others:
            yield column.name, f"also sent as {', '.join(others)}, which this type does not take"


def _key(samples: TableSamples) -> Iterator[Guess]:
    """Guess the columns that most changes match on, or else each one that looks like a key."""
    changes = samples.matched.total()
    for names, count in samples.matched.most_common():
        if _may_be_key(names, samples):
            reason = f"part of the key: {count:,} of {changes:,} changes match on it"
            for name in names:
                yield _key_guess(samples.columns[name], reason)
            return
    reason = f"the key: unique and never null in {samples.inserts:,} inserts"
    for column in samples.columns.values():
        if _is_unique(column, samples):
            yield _key_guess(column, reason)


def _key_guess(column: ColumnSamples, reason: str) -> Guess:
    return Guess(column.name, reason, "primaryKey", value=True)


def _may_be_key(names: tuple[str, ...], samples: TableSamples) -> bool:
    """Whether columns can be a key: a match on all columns of a table only names a whole row."""
    columns = [samples.columns[name] for name in names]
    is_whole_row = len(names) == len(samples.columns) > 1
    return (
        not is_whole_row
        and len(names) <= MAX_KEY_COLUMNS
        and all(_base(each) in KEY_TYPES for each in columns)
        and all(_is_required(each, samples) or not samples.rows for each in columns)
    )


def _is_unique(column: ColumnSamples, samples: TableSamples) -> bool:
    return (
        samples.inserts >= MIN_ROWS
        and _is_required(column, samples)
        and not column.is_repeated
        and _base(column) in _IDENTIFIERS
    )


def _enums(columns: Iterable[ColumnSamples]) -> Iterator[Guess]:
    for column in columns:
        if _is_enum(column):
            values = sorted(column.distinct)
            rule = {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": values}}
            reason = f"only {len(values)} different values in {column.filled:,} rows"
            yield Guess(column.name, reason, "quality", [rule])


def _is_enum(column: ColumnSamples) -> bool:
    count = len(column.distinct)
    return (
        column.filled >= MIN_ROWS
        and count <= MAX_ENUM
        and count * ROWS_PER_VALUE <= column.filled
        and _base(column) == "STRING"
        and all(each.isprintable() and len(each) <= MAX_ENUM_LENGTH for each in column.distinct)
    )


def _partitions(columns: Iterable[ColumnSamples], samples: TableSamples) -> Iterator[Guess]:
    reason = "the partition column, one a table: every row has a value"
    for column in columns:
        if _base(column) in PARTITION_TYPES and _is_required(column, samples):
            yield Guess(column.name, reason, "partitioned", value=True)


def _base(column: ColumnSamples) -> str:
    return parse_type(_declared(column)).base
