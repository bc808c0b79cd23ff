"""One place where a transaction breaks a contract."""

from typing import NamedTuple

from schema.contracts.table_contract import TableContract
from schema.validators import ContractRule


class Violation(NamedTuple):
    """`pointer` is an RFC 6901 pointer into the payload.

    `contract` is None for a table without one; `column` is empty where the whole row is meant.
    `value` is the canonical text that breaks the rule, None where a name or a null does. With
    `refused` the transaction is refused, else the violation is only reported.
    """

    pointer: str
    rule: ContractRule
    message: str
    table: str
    column: str
    value: str | None
    contract: TableContract | None
    refused: bool
