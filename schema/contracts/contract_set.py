"""The contracts in force, and the check of a transaction against all of them."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice

from schema.contracts.column_transforms import ColumnTransforms
from schema.contracts.contract_check import ContractCheck
from schema.contracts.suggestion import MAX_SUGGESTIONS, close_to
from schema.contracts.table_contract import Mode, TableContract, by_table
from schema.contracts.violation import Violation
from schema.transaction import Activity, Transaction


class UnknownTables(StrEnum):
    """What is done with a transaction on a table that has no contract."""

    EVOLVE = "evolve"
    REPORT = "report"
    REFUSE = "refuse"


class ContractSet:
    """The contracts in force by table. Immutable to its users.

    `column_key` is for `transforms`, which hide values. Raises InvalidContracts where two in force
    are for one table.
    """

    def __init__(
        self,
        contracts: Iterable[TableContract] = (),
        unknown_tables: UnknownTables = UnknownTables.EVOLVE,
        column_key: bytes | None = None,
    ) -> None:
        self.tables: Mapping[str, TableContract] = by_table(contracts)
        self.transforms = ColumnTransforms(self.tables, column_key)
        self.unknown_tables = unknown_tables
        self._checks: dict[str, ContractCheck | None] = {}
        self._refuses_unknown = unknown_tables is UnknownTables.REFUSE
        self._is_idle = not self.tables and unknown_tables is UnknownTables.EVOLVE

    def violations(self, transaction: Transaction, most: int = 100) -> list[Violation]:
        """Return where a transaction breaks the contracts, in the payload's order.

        Of each kind, refused and only reported, `most` are looked for, and one activity gives at
        most as many. A contract in mode `evolve` is never broken.
        """
        found: list[Violation] = []
        if self._is_idle:
            return found
        checks, counts = self._checks, {True: 0, False: 0}
        for number, activity in enumerate(transaction.activities):
            table = activity.table
            check = checks[table] if table in checks else self._check_of(table)
            if check is not None and check.keeps(activity):
                continue
            refuses = self._refuses_unknown if check is None else check.refuses
            if counts[refuses] < most:
                suggest = len(found) < MAX_SUGGESTIONS
                own = list(islice(self._explained(number, activity, check, suggest=suggest), most))
                found += own
                counts[refuses] += len(own)
        return found

    def _check_of(self, table: str) -> ContractCheck | None:
        contract = self.tables.get(table)
        if contract is None:  # not kept: clients choose the names
            return None
        check = None if contract.mode is Mode.EVOLVE else ContractCheck(contract)
        self._checks[table] = check
        return check

    def _explained(
        self, number: int, activity: Activity, check: ContractCheck | None, *, suggest: bool
    ) -> Iterable[Violation]:
        at = f"/activities/{number}"
        if check is not None:
            return check.violations(at, activity, suggest=suggest)
        if self.unknown_tables is UnknownTables.EVOLVE or activity.table in self.tables:
            return ()
        return self._unknown_table(at, activity.table, suggest=suggest)

    def _unknown_table(self, at: str, table: str, *, suggest: bool) -> Iterator[Violation]:
        close = close_to(table, self.tables) if suggest else ""
        yield Violation(
            f"{at}/table",
            "contract_table",
            f"no contract for the table `{table}`{close}",
            table,
            column="",
            value=None,
            contract=None,
            refused=self._refuses_unknown,
        )
