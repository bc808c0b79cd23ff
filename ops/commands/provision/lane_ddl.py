"""The DDL of the lanes' tables, and of the views over them. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping

from ops.runtime.settings import Settings
from schema import (
    LEDGER_COLUMNS,
    LEDGER_TABLE,
    REJECTED_COLUMNS,
    REJECTED_TABLE,
    LedgerColumn,
    head_table,
    ledger_table,
    rejected_table,
)


def lane_tables(lane: int) -> set[str]:
    """Return the names of the tables that a lane needs."""
    return {head_table(lane), ledger_table(lane), rejected_table(lane)}


def expiring_tables(settings: Settings, lane: int) -> list[tuple[str, int]]:
    """Return a lane's tables whose partitions expire, with the days."""
    return [
        (ledger_table(lane), settings.ledger_days),
        (rejected_table(lane), settings.rejected_days),
    ]


def lane_ddl(settings: Settings, lane: int) -> str:
    """Return the script that creates a lane's head, ledger and table of rejected transactions.

    The head's row comes with its table: of two that provision at the same time, one creates both.
    """
    dataset = settings.dataset_path
    return (
        f"CREATE TABLE IF NOT EXISTS `{dataset}.{ledger_table(lane)}` "
        f"({_definitions(LEDGER_COLUMNS)}) "
        "PARTITION BY TIMESTAMP_TRUNC(settled_at, HOUR) CLUSTER BY id "
        f"OPTIONS(partition_expiration_days={settings.ledger_days});\n"
        f"CREATE TABLE IF NOT EXISTS `{dataset}.{rejected_table(lane)}` "
        f"({_definitions(REJECTED_COLUMNS)}) "
        "PARTITION BY TIMESTAMP_TRUNC(settled_at, DAY) "
        f"OPTIONS(partition_expiration_days={settings.rejected_days});\n"
        f"CREATE TABLE IF NOT EXISTS `{dataset}.{head_table(lane)}` AS "
        f"SELECT 0 AS epoch, {settings.lanes} AS lanes, "
        "CAST(NULL AS STRING) AS suspect, 0 AS attempts;"
    )


def missing_columns_ddl(
    settings: Settings, found: Mapping[str, Collection[str]]
) -> tuple[str, list[str]]:
    """Return the script that adds what earlier versions' tables lack, and the columns' names.

    `found` has the columns of the first lane's tables; the lanes are alike. An added column may be
    NULL, whatever it is in a new table:
    https://cloud.google.com/bigquery/docs/managing-table-schemas#add_empty_column
    """
    wanted = ((ledger_table, LEDGER_COLUMNS), (rejected_table, REJECTED_COLUMNS))
    missing = [
        (table_of, column)
        for table_of, columns in wanted
        for column in columns
        if column.name not in found[table_of(0)]
    ]
    script = "\n".join(
        f"ALTER TABLE `{settings.dataset_path}.{table_of(lane)}` "
        f"ADD COLUMN IF NOT EXISTS `{column.name}` {column.type};"
        for lane in range(settings.lanes)
        for table_of, column in missing
    )
    return script, [column.name for _, column in missing]


def expiry_ddl(settings: Settings) -> str:
    """Return the script that gives the lanes' tables the expiry of the settings."""
    return "\n".join(
        f"ALTER TABLE `{settings.dataset_path}.{table}` "
        f"SET OPTIONS(partition_expiration_days={days});"
        for lane in range(settings.lanes)
        for table, days in expiring_tables(settings, lane)
    )


def views_ddl(settings: Settings) -> dict[str, str]:
    """Return the DDL of each view."""
    return {
        LEDGER_TABLE: _view(settings, LEDGER_TABLE, LEDGER_COLUMNS, ledger_table),
        REJECTED_TABLE: _view(settings, REJECTED_TABLE, REJECTED_COLUMNS, rejected_table),
    }


def _view(
    settings: Settings, view: str, columns: Iterable[LedgerColumn], table_of: Callable[[int], str]
) -> str:
    dataset = settings.dataset_path
    names = ", ".join(column.name for column in columns)
    parts = " UNION ALL ".join(
        f"SELECT {names} FROM `{dataset}.{table_of(lane)}`"  # noqa: S608  # our own names
        for lane in range(settings.lanes)
    )
    return f"CREATE OR REPLACE VIEW `{dataset}.{view}` AS {parts}"


def _definitions(columns: Iterable[LedgerColumn]) -> str:
    return ", ".join(
        f"`{each.name}` {each.type}{' NOT NULL' if each.mode == 'REQUIRED' else ''}"
        for each in columns
    )
