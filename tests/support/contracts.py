"""Contracts for tests: YAML texts in the standard, from a few words."""

from collections.abc import Mapping
from typing import Any

import yaml

from schema.contracts import TableContract
from schema.odcs import read_contracts


def column(name: str, physical_type: str = "TEXT", **fields: Any) -> dict[str, Any]:
    """Return a property of the standard. `options` need a `logicalType` in the fields."""
    return {"name": name, "physicalType": physical_type, **fields}


def contract_text(
    table: str = "orders",
    *columns: Mapping[str, Any],
    version: str = "2.1.0",
    custom: Mapping[str, Any] | None = None,
    **fields: Any,
) -> str:
    """Return a file with one table; `custom` has what follows `gatekeeper.` and its value."""
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{table}-id",
        "name": table,
        "version": version,
        "status": "active",
        "team": {"name": "shop", "members": [{"username": "ada", "role": "Owner"}]},
        "schema": [
            {
                "name": table,
                "properties": list(columns) or [column("id", "INTEGER"), column("item")],
                "customProperties": custom_properties(custom or {}),
            }
        ],
        **fields,
    }
    return yaml.safe_dump(document, sort_keys=False)


def custom_properties(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": f"gatekeeper.{name}", "value": value} for name, value in values.items()]


def contract(table: str = "orders", *columns: Mapping[str, Any], **fields: Any) -> TableContract:
    """Return the contract of `contract_text`."""
    (found,) = read_contracts(f"{table}.odcs.yaml", contract_text(table, *columns, **fields))
    return found
