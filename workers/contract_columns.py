"""What contracts mean for a batch's plan: the columns of a new table, and what is rejected.

The contracts are those in force when a transaction is applied; the gate may have accepted it by
others. It is applied if its table can hold it. In mode `freeze` a table gets no column that its
contract does not have, and holds no NULL in a column that is NOT NULL.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from schema import Activity, ColumnType, Reason, Transaction
from schema.contracts import (
    Duplicate,
    Mode,
    TableContract,
    Transform,
    open_key_faults,
    with_primary_key,
)
from workers.table_columns import Column

type Contracts = Mapping[str, TableContract]
"""Those in force, by table."""

NO_CONTRACTS: Final[Contracts] = MappingProxyType({})


class BreaksContract(Exception):
    """The transaction breaks a contract in a way that its table cannot hold."""


def is_frozen(contract: TableContract | None) -> bool:
    return contract is not None and contract.mode is Mode.FREEZE


def is_unique(contract: TableContract | None) -> bool:
    """Whether the contract keeps its table from having two rows of one primary key."""
    return contract is not None and contract.duplicate is not Duplicate.ALLOW


def stored_columns(contract: TableContract) -> dict[str, Column]:
    """Return the columns of a table that is made by its contract (`create_contract_table`)."""
    return {
        column.name.casefold(): Column(
            column.name,
            column.type.base,
            *_size(column.type),
            required=column.required and is_frozen(contract),
        )
        for column in contract.columns
        if column.transform is not Transform.DROP
    }


def _size(declared: ColumnType) -> tuple[int | None, int | None]:
    plain = declared.bigquery == declared.base
    return (None, None) if plain else (declared.precision, declared.scale)


def added_column(
    contract: TableContract | None, table: str, name: str, sent: ColumnType
) -> tuple[str, ColumnType]:
    """Return name and type of a column that a table lacks: the contract's, or else as sent."""
    column = contract.column(name) if contract else None
    if contract is None or (column is None and not is_frozen(contract)):
        return name, sent
    if column is None:
        raise BreaksContract(f"{table} has no column {name} ({contract.title})")
    if not column.type.takes(sent):
        raise BreaksContract(
            f"{table}.{column.name} is {column.type.bigquery}, not {sent.bigquery}"
            f" ({contract.title})"
        )
    return column.name, column.type


def check_not_null(
    contract: TableContract, required: Iterable[tuple[str, Column]], activity: Activity
) -> None:
    """Raise BreaksContract where a row would get NULL in a required column of its table."""
    given = dict(zip(map(str.casefold, activity.names), activity.values, strict=True))
    absent = "" if activity.operation == "update" else None  # an update leaves it alone
    for name, column in required:
        if given.get(name, absent) is None:
            raise BreaksContract(
                f"{activity.table}.{column.name} may not be NULL ({contract.title})"
            )


def with_key(activity: Activity, contracts: Contracts) -> Activity:
    """Return an upsert with an open key as one by the primary key of its table's contract.

    Raises BreaksContract where there is none, or the row has no value for it.
    """
    if faults := open_key_faults(Transaction((activity,)), contracts):
        raise BreaksContract(f"upsert on {activity.table}: {faults[0].message}")
    return with_primary_key(activity, contracts[activity.table])


def as_upsert(activity: Activity, contract: TableContract) -> Activity:
    """Return an insert as an upsert by the primary key; without a whole key it stays an insert."""
    if None in key_of(activity, contract):
        return activity
    return with_primary_key(activity._replace(operation="upsert"), contract)


def key_of(activity: Activity, contract: TableContract) -> tuple[str | None, ...]:
    """Return a row's values of the primary key, in the order of the names sorted without case."""
    given = dict(zip(map(str.casefold, activity.names), activity.values, strict=True))
    return tuple([given.get(name) for name in sorted(map(str.casefold, contract.primary_key))])


def duplicate_error(contract: TableContract, activity: Activity) -> str:
    """Name the key that an insert has and another row too; hidden values are left out."""
    given = dict(zip(map(str.casefold, activity.names), activity.values, strict=True))
    columns = [contract.by_name[name.casefold()] for name in contract.primary_key]
    parts = [
        f"{column.name} = {given[column.name.casefold()] if column.is_open else '…'}"
        for column in columns
    ]
    return f"{contract.table} has a row with {', '.join(parts)} already ({contract.title})"


def reason_for(
    plain: Reason, contract: TableContract | None, name: str, sent: ColumnType
) -> Reason:
    """Return `contract` where a frozen contract explains a rejection, else the plain reason."""
    if contract is None or not is_frozen(contract):
        return plain
    column = contract.column(name)
    breaks = column is None or not column.type.takes(sent)
    return Reason.CONTRACT if breaks else plain
