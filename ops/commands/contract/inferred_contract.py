"""Inferred contracts as a document of the standard: in YAML, with the guesses as comments, or JSON.

A guess is never a rule: a person removes the `#` of those that are right.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any, Final, NamedTuple

import yaml

from ops.runtime.terminal import printable
from schema.contracts import ContractColumn, Mode, TableContract
from schema.odcs import API_VERSION
from schema.types import length_of

VERSION: Final = "0.1.0"
STATUS: Final = "draft"
_NOTES: Final = """\
# Inferred by `gatekeeper contract infer`. Each guess is a comment: check it, then remove its `#`.
# Mode `report` refuses nothing and lists what breaks the contract. Later: freeze.
# Add who owns it: team: {name: shop, members: [{username: ada, role: owner}]}
"""


class Guess(NamedTuple):
    """A field of the standard that a column may need, and why."""

    column: str
    reason: str
    field: str
    value: Any


class InferredTable(NamedTuple):
    """`remarks` are for people: a column's by its name, those on the whole table by ''."""

    contract: TableContract
    guesses: Sequence[Guess] = ()
    remarks: Sequence[tuple[str, str]] = ()


def inferred_column(
    name: str, declared: str, description: str = "", *, required: bool
) -> ContractColumn:
    """Return a column as a contract with this source type has it."""
    return ContractColumn(
        name=name,
        declared=declared,
        required=required,
        description=description,
        max_length=length_of(declared),
    )


def inferred_contract(
    table: str, columns: Sequence[ContractColumn], **fields: Any
) -> TableContract:
    """Return what a table's contract is before a person has seen it."""
    return TableContract(
        table=table,
        contract=table,
        id=table,
        version=VERSION,
        status=STATUS,
        mode=Mode.REPORT,
        columns=tuple(columns),
        **fields,
    )


def as_json(name: str, tables: Sequence[InferredTable]) -> dict[str, Any]:
    """Return the document, the guesses and the remarks; the latter two name table and column."""
    schema = [{**_table(each.contract), "properties": _columns(each.contract)} for each in tables]
    return {
        "contract": {**_head(name), "schema": schema},
        "guesses": [
            {"table": each.contract.table, **guess._asdict()}
            for each in tables
            for guess in each.guesses
        ],
        "remarks": [
            {"table": each.contract.table, "column": column, "remark": remark}
            for each in tables
            for column, remark in each.remarks
        ],
    }


def as_yaml(name: str, tables: Sequence[InferredTable]) -> str:
    return f"{_NOTES}{_dumped(_head(name))}schema:\n{''.join(map(_table_text, tables))}"


def _head(name: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": VERSION,
        "status": STATUS,
        "customProperties": _custom({"mode": Mode.REPORT.value}),
    }


def _table(contract: TableContract) -> dict[str, Any]:
    partition = contract.partition
    custom = {
        "clustering": [*contract.clustering],
        "partitionGranularity": partition and partition.granularity.value,
        "partitionExpirationDays": partition and partition.expiration_days,
        "labels": {**contract.labels},
    }
    return _given(
        name=contract.table, description=contract.description, customProperties=_custom(custom)
    )


def _columns(contract: TableContract) -> list[dict[str, Any]]:
    return [_column(contract, each) for each in contract.columns]


def _column(contract: TableContract, column: ContractColumn) -> dict[str, Any]:
    key = contract.primary_key
    place = key.index(column.name) + 1 if column.name in key else None
    partitioned = contract.partition is not None and contract.partition.column == column.name
    return _given(
        name=column.name,
        physicalType=column.declared,
        required=column.required,
        primaryKey=place is not None,
        primaryKeyPosition=place,
        partitioned=partitioned,
        description=column.description,
    )


def _custom(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"property": f"gatekeeper.{name}", "value": value}
        for name, value in values.items()
        if value
    ]


def _given(**fields: Any) -> dict[str, Any]:
    """Leave out what is empty."""
    return {name: value for name, value in fields.items() if value}


def _dumped(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _table_text(table: InferredTable) -> str:
    contract = table.contract
    return "".join(
        (
            indent(_dumped([_table(contract)]), "  "),
            indent("".join(_comments(table, "")), "    "),
            "    properties:\n",
            *(
                indent(_dumped([_column(contract, each)]), "      ")
                + indent("".join(_comments(table, each.name)), "        ")
                for each in contract.columns
            ),
        )
    )


def _comments(table: InferredTable, column: str) -> Iterator[str]:
    for place, remark in table.remarks:
        if place == column:
            yield f"# {printable(remark)}\n"
    for guess in table.guesses:
        if guess.column == column:
            value = json.dumps(guess.value, ensure_ascii=False)
            yield f"# guess: {printable(guess.reason)}\n# {guess.field}: {value}\n"
