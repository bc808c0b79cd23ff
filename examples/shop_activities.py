"""Activities of the sample shop, in the form of the schema rule."""

from typing import Any

type Payload = dict[str, Any]
type Column = tuple[str, str, Any]
"""A column's name, source type and value."""


def lists(*columns: Column) -> Payload:
    names, types, values = zip(*columns, strict=True)
    return {"col_names": list(names), "col_types": list(types), "col_values": list(values)}


def insert(table: str, *columns: Column) -> Payload:
    return {"operation": "insert", "table": table, **lists(*columns)}


def upsert(table: str, *columns: Column) -> Payload:
    """Upsert by the primary key of the table's contract."""
    return {"operation": "upsert", "table": table, **lists(*columns)}


def update(table: str, match: Column, *columns: Column) -> Payload:
    match_lists = {"value_to_match": lists(match)}
    return {"operation": "update", "table": table, **match_lists, **lists(*columns)}


def delete(table: str, *match: Column) -> Payload:
    return {"operation": "delete", "table": table, "value_to_delete": lists(*match)}


def transaction(*activities: Any) -> Payload:
    return {"activities": list(activities)}
