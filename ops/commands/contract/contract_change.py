"""One difference between two versions of a contract."""

from enum import StrEnum
from typing import NamedTuple


class Compatibility(StrEnum):
    """BREAKING: a transaction or reader that kept to the old contract may fail with the new one."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"


class ContractChange(NamedTuple):
    """`column` is empty where the table as a whole is meant."""

    table: str
    column: str
    compatibility: Compatibility
    message: str

    @property
    def place(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


def word(*, breaks: bool) -> Compatibility:
    return Compatibility.BREAKING if breaks else Compatibility.COMPATIBLE
