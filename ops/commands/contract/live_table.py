"""A table as BigQuery reports it: what a contract can say of it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import bigquery

from ops.commands.failure import CommandFailed
from ops.commands.google_failure import CALL_ERRORS, google_failure, one_line
from ops.runtime import clients
from ops.runtime.settings import Settings

CALL_SECONDS: Final = 30.0
_STANDARD: Final = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_DAY_MILLISECONDS: Final = 86_400_000


class LiveColumn(NamedTuple):
    """`type` is as in DDL: `NUMERIC(10,0)`, `STRING(5)`, `ARRAY<INT64>`."""

    name: str
    type: str
    required: bool
    description: str


class LiveTable(NamedTuple):
    """`partition` is a column and a granularity, or the column alone for a range of integers.

    The column of a table that is partitioned by the time of arrival is `_PARTITIONTIME`.
    """

    columns: tuple[LiveColumn, ...]
    description: str = ""
    labels: Mapping[str, str] = {}
    partition: tuple[str, str] | None = None
    expiration_days: float | None = None
    clustering: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()


@contextlib.contextmanager
def open_warehouse(settings: Settings) -> Iterator[bigquery.Client]:
    """Open a client; errors of Google's calls become CommandFailed."""
    try:
        with contextlib.closing(clients.warehouse(settings)) as client:
            yield client
    except Forbidden as error:
        message = f"{one_line(error)}: roles/bigquery.dataEditor on the dataset is needed"
        raise CommandFailed(message) from error
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error


def read_live_table(client: bigquery.Client, path: str) -> LiveTable | None:
    """Return the table at `project.dataset.table`, None where there is none."""
    try:
        found = client.get_table(path, retry=None, timeout=CALL_SECONDS)  # type: ignore[arg-type]  # None: never
    except NotFound:
        return None
    expires = found.time_partitioning and found.time_partitioning.expiration_ms
    return LiveTable(
        columns=tuple(map(live_column, found.schema)),
        description=found.description or "",
        labels=dict(found.labels),
        partition=_partition(found),
        expiration_days=int(expires) / _DAY_MILLISECONDS if expires else None,
        clustering=tuple(found.clustering_fields or ()),
        primary_key=_primary_key(found),
    )


def live_column(field: bigquery.SchemaField) -> LiveColumn:
    """Return a column of `tables.get`, which has the names of legacy SQL."""
    base = _STANDARD.get(field.field_type, field.field_type)
    own = f"{base}{_size(field)}"
    kind = f"ARRAY<{own}>" if field.mode == "REPEATED" else own
    return LiveColumn(field.name, kind, field.mode == "REQUIRED", field.description or "")


def _size(field: bigquery.SchemaField) -> str:
    """Return a type's parameters. A decimal without a scale has the scale 0, which is left out.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
    """
    if field.precision:
        return f"({field.precision},{field.scale or 0})"
    return f"({field.max_length})" if field.max_length else ""


def _partition(table: bigquery.Table) -> tuple[str, str] | None:
    if table.time_partitioning:
        return table.time_partitioning.field or "_PARTITIONTIME", table.time_partitioning.type_
    return (table.range_partitioning.field, "RANGE") if table.range_partitioning else None


def _primary_key(table: bigquery.Table) -> tuple[str, ...]:
    constraints = table.to_api_repr().get("tableConstraints") or {}
    return tuple((constraints.get("primaryKey") or {}).get("columns") or ())
