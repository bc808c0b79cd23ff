"""The differences between two sets of contracts."""

from collections.abc import Iterator, Sequence
from typing import Final

from ops.commands.contract.column_changes import Found, added_column, column_changes
from ops.commands.contract.contract_change import ContractChange, word
from schema.contracts import Mode, TableContract, by_table

_STRICTNESS: Final = (Mode.EVOLVE, Mode.REPORT, Mode.FREEZE)
_WORDS: Final = ("description", "contract", "team", "owner", "status", "notify")
"""Fields of a table that refuse nothing and change no row."""


def contract_changes(
    old: Sequence[TableContract], new: Sequence[TableContract]
) -> Iterator[ContractChange]:
    """Yield every difference, table by table. Raises InvalidContracts, as `by_table` does."""
    before, after = by_table(old), by_table(new)
    for table in sorted(before.keys() | after.keys()):
        if table not in after:
            yield ContractChange(table, "", word(breaks=True), "the contract is removed")
        elif table not in before:
            yield ContractChange(table, "", word(breaks=False), "new contract")
        else:
            yield from _of_table(before[table], after[table])


def _of_table(old: TableContract, new: TableContract) -> Iterator[ContractChange]:
    for column, (breaks, message) in (*_of_columns(old, new), *_of_whole(old, new)):
        yield ContractChange(new.table, column, word(breaks=breaks), message)


def _of_columns(old: TableContract, new: TableContract) -> Iterator[tuple[str, Found]]:
    for column in old.columns:
        kept = new.column(column.name)
        if kept is None:
            yield column.name, (True, "the column is removed")
        else:
            yield from ((column.name, found) for found in column_changes(column, kept))
    for column in new.columns:
        if old.column(column.name) is None:
            yield column.name, added_column(column)


def _of_whole(old: TableContract, new: TableContract) -> Iterator[tuple[str, Found]]:
    for found in (*_mode(old, new), *_key(old, new), *_storage(old, new), *_words(old, new)):
        yield "", found


def _mode(old: TableContract, new: TableContract) -> Iterator[Found]:
    """Compare modes: a stricter one refuses or lists what the one before accepted."""
    if old.mode != new.mode:
        stricter = _STRICTNESS.index(new.mode) > _STRICTNESS.index(old.mode)
        yield stricter, f"mode: {old.mode} → {new.mode}"


def _key(old: TableContract, new: TableContract) -> Iterator[Found]:
    if old.primary_key != new.primary_key:
        before, after = (", ".join(key) or "none" for key in (old.primary_key, new.primary_key))
        yield True, f"primary key: {before} → {after}"
    if old.duplicate != new.duplicate:
        yield True, f"inserts of a key that exists: {old.duplicate} → {new.duplicate}"


def _storage(old: TableContract, new: TableContract) -> Iterator[Found]:
    """BigQuery cannot partition a table again, and deletes rows of partitions that expire."""
    before, after = old.partition, new.partition
    if (before and before[:2]) != (after and after[:2]):
        names = (f"{each[0]} by {each[1]}" if each else "none" for each in (before, after))
        yield True, f"partition: {' → '.join(names)}; BigQuery needs a new table"
    kept = [each.expiration_days if each else None for each in (before, after)]
    if kept[0] != kept[1]:
        shorter = kept[1] is not None and (kept[0] is None or kept[1] < kept[0])
        days = (f"{each:g} days" if each else "never" for each in kept)
        yield shorter, f"partitions expire: {' → '.join(days)}"
    if old.clustering != new.clustering:
        before_, after_ = (", ".join(each) or "none" for each in (old.clustering, new.clustering))
        yield False, f"clustering: {before_} → {after_}"
    if old.labels != new.labels:
        yield False, "other labels"


def _words(old: TableContract, new: TableContract) -> Iterator[Found]:
    for name in _WORDS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            is_long = name == "description"
            yield False, f"other {name}" if is_long else f"{name}: {before or 'none'} → {after}"
