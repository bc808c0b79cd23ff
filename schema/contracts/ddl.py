"""The DDL that makes a contract's table: for workers, and for `gatekeeper contract apply`."""

import json
from collections.abc import Iterable, Mapping

from schema.contracts.table_contract import (
    ContractColumn,
    Granularity,
    Mode,
    Partition,
    TableContract,
    Transform,
)
from schema.types import ColumnType


def create_contract_table(
    dataset: str, contract: TableContract, more: Iterable[tuple[str, ColumnType]] = ()
) -> str:
    """Write CREATE TABLE IF NOT EXISTS with all that the contract says of its table.

    `dataset` is `project.dataset`; `more` are columns that a transaction brings and the contract
    does not have. A required column is NOT NULL only in mode `freeze`: the others accept NULL.
    BigQuery does not enforce the primary key, but its optimizer relies on it.
    """
    stored = [column for column in contract.columns if column.transform is not Transform.DROP]
    not_null = contract.mode is Mode.FREEZE
    lines = [column_definition(each, not_null=not_null and each.required) for each in stored]
    lines += [f"`{name}` {declared.bigquery}" for name, declared in more]
    if contract.primary_key:
        lines.append(f"PRIMARY KEY ({_quoted(contract.primary_key)}) NOT ENFORCED")
    text = f"CREATE TABLE IF NOT EXISTS `{dataset}.{contract.table}` ({', '.join(lines)})"
    if contract.partition:
        text += f" PARTITION BY {_partition(contract, contract.partition)}"
    if contract.clustering:
        text += f" CLUSTER BY {_quoted(contract.clustering)}"
    days = contract.partition.expiration_days if contract.partition else None
    return text + _options(table_options(contract.description, days, contract.labels))


def column_definition(column: ContractColumn, *, not_null: bool) -> str:
    """Write a column of CREATE TABLE or ADD COLUMN, which cannot add one that is NOT NULL.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_table_add_column_statement
    """
    options = [f"description={string_literal(column.description)}"] if column.description else []
    null = " NOT NULL" if not_null else ""
    return f"`{column.name}` {column.type.bigquery}{null}{_options(options)}"


def table_options(
    description: str, expiration_days: float | None, labels: Mapping[str, str]
) -> list[str]:
    """Write a table's options: `description="…"`, `partition_expiration_days=…`, `labels=[…]`.

    What is empty or None is left out.
    """
    options = []
    if description:
        options.append(f"description={string_literal(description)}")
    if expiration_days:
        options.append(f"partition_expiration_days={expiration_days:g}")
    if labels:
        pairs = (
            f"({string_literal(key)}, {string_literal(held)})"
            for key, held in sorted(labels.items())
        )
        options.append(f"labels=[{', '.join(pairs)}]")
    return options


def string_literal(text: str) -> str:
    r"""Write a text as a literal: JSON's escapes are GoogleSQL's too, but surrogate pairs.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#escape_sequences
    """
    return json.dumps(text, ensure_ascii=False)


def _options(options: list[str]) -> str:
    return f" OPTIONS({', '.join(options)})" if options else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _partition(contract: TableContract, partition: Partition) -> str:
    column = contract.column(partition.column)
    assert column is not None  # noqa: S101  # the reader took it from the columns
    name, base = f"`{column.name}`", column.type.base
    if base == "DATE" and partition.granularity is Granularity.DAY:
        return name
    if partition.granularity is Granularity.DAY:
        return f"DATE({name})"
    return f"{base}_TRUNC({name}, {partition.granularity})"
