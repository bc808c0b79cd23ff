"""Faults of every kind that the schema rule, the contracts and the workers know."""

from collections.abc import Callable
from typing import Any, Final

from examples.shop_activities import Column, Payload, delete, insert, transaction, upsert


def _row(table: str, columns: tuple[Column, ...], changes: tuple[Column, ...]) -> Payload:
    """Return an insert with some columns replaced, added, or left out where the type is empty."""
    row = {column[0]: column for column in (*columns, *changes)}
    return insert(table, *(each for each in row.values() if each[1]))


def _order(number: int, *changes: Column) -> Payload:
    return _row("orders", (("id", "INTEGER", 90_000 + number), ("item", "TEXT", "tea")), changes)


def _customer(number: int, *changes: Column) -> Payload:
    columns = (
        ("id", "INTEGER", 90_000 + number),
        ("email", "TEXT", f"new{number}@example.com"),
        ("country", "TEXT", "DE"),
        ("joined_on", "DATE", "2026-02-01"),
    )
    return _row("customers", columns, changes)


def _payment(kind: int, number: int, *changes: Column) -> Payload:
    """Return a payment of an order: the contract `payments` only reports what breaks it."""
    columns = (
        ("id", "UUID", f"00000000-0000-4000-8000-{kind:06}{number:06}"),
        ("order_id", "INTEGER", 1_001 + number),
        ("amount", "DECIMAL(12,2)", "4.80"),
        ("method", "TEXT", "paypal"),
        ("paid_at", "TIMESTAMP", "2026-02-01 12:00:00+00:00"),
    )
    return _row("payments", columns, changes)


def _item(number: int, *changes: Column) -> Payload:
    columns = (
        ("order_id", "INTEGER", 90_000 + number),
        ("line", "INTEGER", 1),
        ("sku", "TEXT", "TEA-0004"),
        ("quantity", "INTEGER", 1),
    )
    return _row("items", columns, changes)


_SCHEMA_FAULTS: Final[dict[str, Callable[[int], Any]]] = {
    "not JSON": lambda n: f'{{"activities": [{{"operation": "insert", "id": {n}',
    "type": lambda n: f"order {n}",
    "required": lambda _: {"operation": "delete", "table": "orders"},
    "unknown_key": lambda n: {**_order(n), "schema": "public"},
    "not_empty": lambda n: {**_order(n), "col_names": [], "col_types": [], "col_values": []},
    "length": lambda n: {**_order(n), "col_values": [n]},
    "operation": lambda n: {**_order(n), "operation": "merge"},
    "table_name": lambda n: {**_order(n), "table": "shop.orders"},
    "column_name": lambda n: _item(n, ("unit price", "DECIMAL(10,2)", "4.80")),
    "duplicate_column": lambda n: _order(n, ("ITEM", "TEXT", "tea")),
    "column_type": lambda n: _item(n, ("price", "MONEY", "4.80")),
    "key": lambda n: upsert("items", ("order_id", "INTEGER", n), ("sku", "TEXT", "TEA-0004")),
    "value": lambda n: _item(n, ("quantity", "INTEGER", "two")),
}

_REFUSED: Final[dict[str, Callable[[int], Any]]] = {
    "contract_column": lambda n: _order(n, ("item", "", None), ("itme", "TEXT", "tea")),
    "contract_type": lambda n: _order(n, ("total", "TEXT", f"{n} EUR")),
    "contract_required": lambda n: _customer(n, ("country", "", None)),
    "contract_pattern": lambda n: _customer(n, ("country", "TEXT", ("Germany", "de")[n % 2])),
    "contract_pattern of a hidden column": lambda n: _customer(n, ("email", "TEXT", "unknown")),
    "contract_minimum": lambda n: _order(n, ("total", "DECIMAL(12,2)", f"-{n + 1}.00")),
    "contract_maximum": lambda n: _order(n, ("total", "DECIMAL(12,2)", f"{n + 1}00000.01")),
    "contract_min_length": lambda n: _order(n, ("item", "TEXT", "t"[n % 2 :])),
    "contract_max_length": lambda n: _order(n, ("item", "TEXT", f"tea {n}, " * 9)),
    "contract_enum": lambda n: _order(n, ("status", "TEXT", ("payed", "Paid")[n % 2])),
    "contract_transform": lambda n: delete("customers", ("ip_address", "TEXT", f"192.0.2.{n}")),
}

_REPORTED: Final[dict[str, Callable[[int], Any]]] = {
    "reported column": lambda n: _payment(1, n, ("payer", "TEXT", f"C{n}")),
    "reported enum": lambda n: _payment(2, n, ("method", "TEXT", ("cheque", "cash")[n % 2])),
    "reported minimum": lambda n: _payment(3, n, ("amount", "DECIMAL(12,2)", "0.00")),
    "reported required": lambda n: _payment(4, n, ("method", "", None)),
}

_REJECTED_BY_WORKERS: Final[dict[str, Callable[[int], Any]]] = {
    "table_missing": lambda n: delete("refunds", ("order_id", "INTEGER", 1_001 + n)),
    "column_missing": lambda n: delete("items", ("colour", "TEXT", f"green {n}")),
    "type_conflict": lambda n: _item(n, ("quantity", "TEXT", f"{n + 1} bags")),
}


def _bodies(make: Callable[[int], Any]) -> Callable[[int], Payload | str]:
    """Wrap an activity into a transaction; a text that is no JSON stays as it is."""

    def made(number: int) -> Payload | str:
        activity = make(number)
        is_body = isinstance(activity, str) and activity.startswith("{")
        return activity if is_body else transaction(activity)

    return made


FAULTS: Final[dict[str, Callable[[int], Payload | str]]] = {
    name: _bodies(make)
    for kinds in (_SCHEMA_FAULTS, _REFUSED, _REPORTED, _REJECTED_BY_WORKERS)
    for name, make in kinds.items()
}
"""Makers of a body with one kind of fault; equal numbers give equal bodies."""
