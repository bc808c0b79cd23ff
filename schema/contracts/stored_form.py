"""A contract as plain JSON values and back, so that only one process has to read its YAML."""

from dataclasses import fields
from typing import Any, Final

from schema.contracts.table_contract import (
    ContractColumn,
    Duplicate,
    Granularity,
    Mode,
    Partition,
    TableContract,
    Transform,
)

_COLUMN_FIELDS: Final = tuple(field.name for field in fields(ContractColumn))
_DEFAULTS: Final = {field.name: field.default for field in fields(ContractColumn)}
_TABLE_FIELDS: Final = tuple(field.name for field in fields(TableContract))


def to_stored(contract: TableContract) -> dict[str, Any]:
    """Return the contract as JSON takes it; defaults of columns are left out."""
    stored = {name: getattr(contract, name) for name in _TABLE_FIELDS}
    return stored | {
        "columns": [_column_to_stored(column) for column in contract.columns],
        "labels": dict(contract.labels),
        "partition": contract.partition and list(contract.partition),
    }


def from_stored(stored: dict[str, Any]) -> TableContract:
    """Return the contract that `to_stored` made this of."""
    partition = stored["partition"]
    return TableContract(
        **stored
        | {
            "mode": Mode(stored["mode"]),
            "duplicate": Duplicate(stored["duplicate"]),
            "columns": tuple([_column_from_stored(each) for each in stored["columns"]]),
            "primary_key": tuple(stored["primary_key"]),
            "clustering": tuple(stored["clustering"]),
            "partition": partition
            and Partition(partition[0], Granularity(partition[1]), partition[2]),
        }
    )


def _column_to_stored(column: ContractColumn) -> dict[str, Any]:
    values = {name: getattr(column, name) for name in _COLUMN_FIELDS}
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


def _column_from_stored(stored: dict[str, Any]) -> ContractColumn:
    for name in ("examples", "enum"):
        if name in stored:
            stored[name] = tuple(stored[name])
    if "transform" in stored:
        stored["transform"] = Transform(stored["transform"])
    return ContractColumn(**stored)
