"""Upserts without a `key`: their key is the primary key of their table's contract.

The rule accepts them with an open key (`Activity.has_open_key`), as it knows no contracts.
"""

from collections.abc import Iterator, Mapping

from schema.contracts.table_contract import TableContract
from schema.fast_path import key_values
from schema.faults import Fault, pointer
from schema.transaction import Activity, ColumnValues, Transaction
from schema.validators import key_faults

_NO_KEY = "no `key`, and no contract of the table has a primary key"


def open_key_faults(
    transaction: Transaction, contracts: Mapping[str, TableContract], most: int = 100
) -> list[Fault]:
    """Return the first `most` faults of upserts that get no valid key from a contract.

    `contracts` has those in force, by table.
    """
    faults: list[Fault] = []
    for number, activity in enumerate(transaction.activities):
        if activity.has_open_key and len(faults) < most:
            faults += _faults(f"/activities/{number}", activity, contracts.get(activity.table))
    return faults[:most]


def with_primary_key(activity: Activity, contract: TableContract) -> Activity:
    """Return an upsert with an open key as one by the contract's key.

    It has no `open_key_faults`.
    """
    columns = ColumnValues(activity.names, activity.types, activity.values)
    match = key_values(contract.primary_key, columns)
    return activity._replace(match=match)


def _faults(at: str, activity: Activity, contract: TableContract | None) -> Iterator[Fault]:
    if contract is None or not contract.primary_key:
        yield Fault(f"{at}/key", "required", _NO_KEY, None)
        return
    given = {
        "key": list(contract.primary_key),
        "col_names": list(activity.names),
        "col_values": list(activity.values),
    }
    for broken in key_faults(given):
        # A step below `key` would point into a list that is not there.
        path = broken.path[:1] if broken.path[0] == "key" else broken.path
        yield Fault(at + pointer(path), broken.rule, f"{broken.msg} ({contract.title})", None)
