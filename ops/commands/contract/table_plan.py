"""The DDL that makes a table what its contract says, and what BigQuery cannot do.

Nothing is ever dropped: what a table has and its contract does not name stays.
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ops.commands.contract.live_table import LiveColumn, LiveTable
from ops.commands.contract.type_change import TypeChange, type_change
from schema.contracts import (
    ContractColumn,
    Mode,
    TableContract,
    Transform,
    column_definition,
    create_contract_table,
    string_literal,
    table_options,
)


class AlterationRefused(NamedTuple):
    """What BigQuery cannot alter. `column` is empty where the whole table is meant."""

    column: str
    cause: str
    remedy: str


class TablePlan(NamedTuple):
    """`statements` are DDL, in order. `notes` are differences that stay and harm nobody."""

    table: str
    statements: tuple[str, ...] = ()
    refusals: tuple[AlterationRefused, ...] = ()
    notes: tuple[str, ...] = ()


def plan_table(dataset: str, contract: TableContract, live: LiveTable | None) -> TablePlan:
    """Compare a contract with its table in `project.dataset`."""
    if live is None:
        return TablePlan(contract.table, (create_contract_table(dataset, contract),))
    differences = _Differences(dataset, contract, live)
    return TablePlan(
        contract.table,
        tuple(differences.statements()),
        tuple(differences.refusals()),
        tuple(differences.notes()),
    )


class _Differences:
    """Between one contract and its table."""

    def __init__(self, dataset: str, contract: TableContract, live: LiveTable) -> None:
        self._path = f"{dataset}.{contract.table}"
        self._contract = contract
        self._live = live
        by_name = {column.name.casefold(): column for column in live.columns}
        stored = [each for each in contract.columns if each.transform is not Transform.DROP]
        self._missing = [each for each in stored if each.name.casefold() not in by_name]
        self._pairs = [
            (each, by_name[each.name.casefold()])
            for each in stored
            if each.name.casefold() in by_name
        ]
        named = {each.name.casefold() for each in stored}
        self._unnamed = [each for each in live.columns if each.name.casefold() not in named]

    def statements(self) -> Iterator[str]:
        added = [
            f"ADD COLUMN {column_definition(each, not_null=False)}"
            for each in self._missing
            if not self._is_not_null(each)
        ]
        if added:
            yield self._alter(", ".join(added))
        for wanted, column in self._pairs:
            for change in self._column_changes(wanted, column):
                yield self._alter(f"ALTER COLUMN `{column.name}` {change}")
        yield from map(self._alter, (*self._key(), *self._options()))

    def refusals(self) -> Iterator[AlterationRefused]:
        yield from map(_required_column, filter(self._is_not_null, self._missing))
        for wanted, column in self._pairs:
            yield from self._refused_type(wanted, column)
        yield from self._refused_partition()
        yield from self._refused_clustering()

    def notes(self) -> Iterator[str]:
        table = self._contract.table
        for wanted, column in self._pairs:
            if self._is_not_null(wanted) and not column.required:
                yield f"{table}.{column.name} stays NULLABLE in BigQuery; the gate refuses NULL"
        if names := ", ".join(each.name for each in self._unnamed):
            yield f"{table} has columns that are not in its contract, and keeps them: {names}"
        partition, days = self._contract.partition, self._live.expiration_days
        if partition and days and not partition.expiration_days:
            yield f"{table} deletes partitions after {days:g} days, which its contract omits"
        if self._live.primary_key and not self._contract.primary_key:
            key = ", ".join(self._live.primary_key)
            yield f"{table} has a primary key that its contract omits: {key}"

    def _alter(self, actions: str) -> str:
        return f"ALTER TABLE `{self._path}` {actions}"

    def _is_not_null(self, column: ContractColumn) -> bool:
        """As `create_contract_table`: the other modes accept NULL."""
        return column.required and self._contract.mode is Mode.FREEZE

    def _column_changes(self, wanted: ContractColumn, column: LiveColumn) -> Iterator[str]:
        if type_change(column.type, wanted.type) is TypeChange.EXACT:
            yield f"SET DATA TYPE {wanted.type.bigquery}"
        if column.required and not self._is_not_null(wanted):
            yield "DROP NOT NULL"
        if wanted.description not in {"", column.description}:
            yield f"SET OPTIONS(description={string_literal(wanted.description)})"

    def _key(self) -> Iterator[str]:
        wanted, live = self._contract.primary_key, self._live.primary_key
        if not wanted or _folded(wanted) == _folded(live):
            return
        if live:
            yield "DROP PRIMARY KEY"
        yield f"ADD PRIMARY KEY ({', '.join(f'`{each}`' for each in wanted)}) NOT ENFORCED"

    def _options(self) -> Iterator[str]:
        """Set options that differ. Labels of others stay: SET OPTIONS replaces all labels."""
        contract, live = self._contract, self._live
        partition = contract.partition
        is_partitioned = partition is not None and self._is_partitioned_as_wanted()
        days = partition.expiration_days if partition and is_partitioned else None
        labels = {**live.labels, **contract.labels}
        options = table_options(
            contract.description if contract.description != live.description else "",
            days if days != live.expiration_days else None,
            labels if labels != live.labels else {},
        )
        if options:
            yield f"SET OPTIONS({', '.join(options)})"

    def _refused_type(
        self, wanted: ContractColumn, column: LiveColumn
    ) -> Iterator[AlterationRefused]:
        change = type_change(column.type, wanted.type)
        cause = f"the table has {column.type}, the contract {wanted.type.bigquery}"
        statement = f"ALTER COLUMN `{column.name}` SET DATA TYPE {wanted.type.bigquery}"
        if change is TypeChange.INEXACT:
            remedy = f"large numbers would be rounded; if that is right: {self._alter(statement)}"
            yield AlterationRefused(column.name, cause, remedy)
        elif change is TypeChange.IMPOSSIBLE:
            remedy = (
                "BigQuery only widens types: correct the contract, or add a column with another "
                "name and fill it by CAST"
            )
            yield AlterationRefused(column.name, cause, remedy)

    def _is_partitioned_as_wanted(self) -> bool:
        wanted, live = self._contract.partition, self._live.partition
        return (
            wanted is not None
            and live is not None
            and (wanted.column.casefold(), wanted.granularity) == (live[0].casefold(), live[1])
        )

    def _refused_partition(self) -> Iterator[AlterationRefused]:
        """Partitions stay: https://cloud.google.com/bigquery/docs/managing-partitioned-tables."""
        wanted, live = self._contract.partition, self._live.partition
        if wanted is None or self._is_partitioned_as_wanted():
            return
        has = f"{live[0]} by {live[1]}" if live else "none"
        yield AlterationRefused(
            wanted.column,
            f"partition: the table has {has}, the contract {wanted.column} by {wanted.granularity}",
            "BigQuery partitions a table only when it is created: stop the workers, copy "
            f"{self._path} with CREATE TABLE … COPY, drop it, apply again, copy the rows back",
        )

    def _refused_clustering(self) -> Iterator[AlterationRefused]:
        """Only the API changes it: https://cloud.google.com/bigquery/docs/manage-clustered-tables."""
        wanted, live = self._contract.clustering, self._live.clustering
        if wanted and _folded(wanted) != _folded(live):
            project, _, table = self._path.partition(".")
            cause = f"clustering: the table has {', '.join(live) or 'none'}"
            remedy = f"no DDL changes it: bq update --clustering_fields={','.join(wanted)} "
            remedy += f"{project}:{table}"
            yield AlterationRefused("", f"{cause}, the contract {', '.join(wanted)}", remedy)


def _required_column(column: ContractColumn) -> AlterationRefused:
    return AlterationRefused(
        column.name,
        "the column is required and new, and the table exists",
        "BigQuery adds no NOT NULL column to a table: make it optional in the contract, apply, "
        "fill the old rows, then make it required",
    )


def _folded(names: Iterable[str]) -> list[str]:
    return [name.casefold() for name in names]
