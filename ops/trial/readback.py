"""Reads a table through the BigQuery client as the model's canonical texts."""

import base64
import datetime as dt
import decimal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.cloud import bigquery

from schema import ColumnType, canonical, parse_type

_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def _as_json(value: Any) -> Any:
    """Return the JSON value that a client would have sent for this value."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case decimal.Decimal():
            return str(value)
        case dt.datetime():
            return value.isoformat(" ")
        case dt.date() | dt.time():
            return value.isoformat()
    return value


def types_of(client: bigquery.Client, table: str) -> dict[str, str]:
    """Return the types of a table's columns as in DDL, by lower-case name."""
    found = {}
    for field in client.get_table(table).schema:
        base = _STANDARD.get(field.field_type, field.field_type)
        size = f"({field.precision},{field.scale or 0})" if field.precision else ""
        found[field.name.lower()] = base + size
    return found


def counted(
    client: bigquery.Client, table: str, columns: Mapping[str, ColumnType]
) -> Counter[tuple[str | None, ...]]:
    """Return a table's rows as a multiset of canonical texts, by the sorted column names."""
    return Counter(rows(client, table, columns))


def rows(
    client: bigquery.Client, table: str, columns: Mapping[str, ColumnType]
) -> Iterator[tuple[str | None, ...]]:
    """Yield a table's rows as canonical texts, in the order of the sorted column names."""
    # BigQuery has no lengths of texts; NUMERIC has its precision.
    read_as = {
        name: declared if "NUMERIC" in declared.base else parse_type(declared.base)
        for name, declared in sorted(columns.items())
    }
    found: Iterable[Any] = client.query_and_wait(f"SELECT * FROM `{table}`")  # noqa: S608  # a table's name, by the rule
    for row in found:
        values = {name.lower(): value for name, value in row.items()}
        yield tuple(canonical(_as_json(values[name]), read_as[name]) for name in read_as)
