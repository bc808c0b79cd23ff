"""One schema object of the standard as the contract of a table."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from open_data_contract_standard.model import (
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Team,
    TeamMember,
)

from schema.contracts import (
    ContractColumn,
    Duplicate,
    Granularity,
    Mode,
    Partition,
    TableContract,
    Transform,
    close_to,
)
from schema.odcs.column import ColumnReader
from schema.odcs.custom_properties import TABLE_PROPERTIES, CustomProperties
from schema.odcs.document import ContractFile, FieldPath
from schema.validators import RuleViolation, table_name
from schema.webhook_url import BadWebhookUrl, check_webhook_url

# https://cloud.google.com/bigquery/docs/primary-foreign-keys#limitations
MAX_KEY_COLUMNS: Final = 16
KEY_TYPES: Final = frozenset(
    {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "INT64", "NUMERIC", "STRING", "TIMESTAMP"}
)
# https://cloud.google.com/bigquery/docs/clustered-tables#limitations
MAX_CLUSTERING: Final = 4
CLUSTERING_TYPES: Final = KEY_TYPES
# https://cloud.google.com/bigquery/docs/partitioned-tables#date_timestamp_partitioned_tables
PARTITION_TYPES: Final = frozenset({"DATE", "DATETIME", "TIMESTAMP"})
# https://cloud.google.com/bigquery/quotas#all_tables
MAX_COLUMNS: Final = 10_000
MAX_DESCRIPTION: Final = 16_384


class _Placed(NamedTuple):
    """A property that became a column, and its path."""

    column: ContractColumn
    given: SchemaProperty
    path: FieldPath


class TableReader:
    """Reads one schema object. What is wrong is added to the file's faults."""

    def __init__(
        self, file: ContractFile, document: OpenDataContractStandard, outer: CustomProperties
    ) -> None:
        self._file = file
        self._document = document
        self._outer = outer

    def read(self, given: SchemaObject, path: FieldPath) -> TableContract:
        """Return the table's contract; it counts only where the file has no faults."""
        document, file = self._document, self._file
        properties = CustomProperties(
            file, given.customProperties, path, TABLE_PROPERTIES, self._outer.found
        )
        placed = self._columns(given, path)
        by_name = {each.column.name.casefold(): each.column for each in placed}
        key = self._primary_key(placed)
        duplicate = properties.choice("duplicate", Duplicate) or Duplicate.ALLOW
        if duplicate is not Duplicate.ALLOW and not key:
            properties.fault("duplicate", f"{duplicate} needs a primary key")
        return TableContract(
            table=self._table(given, path),
            contract=document.name or document.id or "",
            id=document.id or "",
            version=document.version or "",
            status=document.status or "",
            team=_team(document.team),
            owner=_owner(document.team),
            description=self._description(given, path),
            mode=properties.choice("mode", Mode) or Mode.EVOLVE,
            duplicate=duplicate,
            columns=tuple(each.column for each in placed),
            primary_key=key,
            partition=self._partition(placed, properties),
            clustering=self._clustering(properties, by_name),
            labels=properties.labels("labels"),
            notify=_notify(properties),
            file=file.name,
            line=file.line(path),
        )

    def _table(self, given: SchemaObject, path: FieldPath) -> str:
        key = "physicalName" if given.physicalName else "name"
        try:
            return table_name(given.physicalName or given.name or "")
        except RuleViolation as fault:
            self._file.fault((*path, key), fault.msg)
            return ""

    def _description(self, given: SchemaObject, path: FieldPath) -> str:
        text = (given.description or "").strip()
        if len(text) > MAX_DESCRIPTION:
            message = f"a description has at most {MAX_DESCRIPTION:,} characters"
            self._file.fault((*path, "description"), message)
        return text

    def _columns(self, given: SchemaObject, path: FieldPath) -> list[_Placed]:
        if not given.properties:
            self._file.fault(path, "a table needs properties: its columns")
        placed: list[_Placed] = []
        seen: set[str] = set()
        for index, each in enumerate(given.properties or ()):
            own = (*path, "properties", index)
            column = ColumnReader(self._file, each, own).read()
            if column is None:
                continue
            if column.name.casefold() in seen:
                self._file.fault(own, f"{column.name} is there twice (case does not count)")
            seen.add(column.name.casefold())
            placed.append(_Placed(column, each, own))
        if len(placed) > MAX_COLUMNS:
            self._file.fault(path, f"a table has at most {MAX_COLUMNS:,} columns")
        return placed

    def _primary_key(self, placed: Iterable[_Placed]) -> tuple[str, ...]:
        parts = [each for each in placed if each.given.primaryKey]
        for each in parts:
            if each.column.type.base not in KEY_TYPES:
                message = f"{each.column.type.base} cannot be part of a primary key in BigQuery"
                self._file.fault((*each.path, "primaryKey"), message)
            if each.column.transform in {Transform.DROP, Transform.LAST4}:
                message = f"a column of the primary key cannot be {each.column.transform}"
                self._file.fault(each.path, message)
        if len(parts) > MAX_KEY_COLUMNS:
            message = f"a primary key has at most {MAX_KEY_COLUMNS} columns"
            self._file.fault(parts[MAX_KEY_COLUMNS].path, message)
        # The standard's default is -1; columns without a position follow in the file's order.
        parts.sort(key=lambda each: _position(each.given.primaryKeyPosition, len(parts)))
        return tuple(each.column.name for each in parts)

    def _partition(
        self, placed: Iterable[_Placed], properties: CustomProperties
    ) -> Partition | None:
        granularity = properties.choice("partitionGranularity", Granularity)
        days = properties.days("partitionExpirationDays")
        parts = [each for each in placed if each.given.partitioned]
        if not parts:
            return None
        first, *others = parts
        base = first.column.type.base
        for each in others:
            self._file.fault((*each.path, "partitioned"), "BigQuery partitions by one column")
        if base not in PARTITION_TYPES or first.column.transform is Transform.DROP:
            message = f"a table is partitioned by a {', '.join(sorted(PARTITION_TYPES))} column"
            self._file.fault((*first.path, "partitioned"), message)
        if base == "DATE" and granularity is Granularity.HOUR:
            properties.fault("partitionGranularity", "a DATE has no hours")
        return Partition(first.column.name, granularity or Granularity.DAY, days)

    def _clustering(
        self, properties: CustomProperties, by_name: Mapping[str, ContractColumn]
    ) -> tuple[str, ...]:
        names = properties.names("clustering")
        for name in names:
            column = by_name.get(name.casefold())
            if column is None or column.transform is Transform.DROP:
                known = [each.name for each in by_name.values()]
                properties.fault("clustering", f"no column `{name}`{close_to(name, known)}")
            elif column.type.base not in CLUSTERING_TYPES:
                properties.fault("clustering", f"{name} is {column.type.base}: no clustering by it")
        if len(names) > MAX_CLUSTERING or len({*map(str.casefold, names)}) < len(names):
            properties.fault("clustering", f"at most {MAX_CLUSTERING} columns, each once")
        return names


def _notify(properties: CustomProperties) -> str:
    url = properties.text("notify")
    try:
        return url and check_webhook_url(url)
    except BadWebhookUrl as fault:
        properties.fault("notify", str(fault))
        return ""


def _position(given: int | None, last: int) -> int:
    return given if given is not None and given > 0 else last + 1


def _team(team: Team | list[TeamMember] | None) -> str:
    return (team.name or "") if isinstance(team, Team) else ""


def _owner(team: Team | list[TeamMember] | None) -> str:
    """Return the first member with the role owner."""
    members = (team.members or []) if isinstance(team, Team) else team or []
    owners = [each for each in members if (each.role or "").casefold() == "owner"]
    return next((each.username or each.name or "" for each in owners), "")
