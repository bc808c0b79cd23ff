"""Writes examples/shop.ndjson: a year of a small shop, 3 % of it wrong.

`python -m examples.shop_history` writes the file again; it is the same each time. A transaction
that touches an order names `orders` first, so all of them have one ordering key. No valid
transaction depends on a faulty one.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from examples.shop_activities import (
    Column,
    Payload,
    delete,
    insert,
    transaction,
    update,
    upsert,
)
from examples.shop_faults import FAULTS

TRANSACTIONS: Final = 5_000
FAULTY: Final = 150
QUIET: Final = 500
"""Transactions before the first faulty one."""
FILE: Final = Path(__file__).with_name("shop.ndjson")
_START: Final = datetime(2025, 10, 1, 8, tzinfo=UTC)
_ARTICLES: Final = (
    ("tea", "TEA-0004", 480),
    ("coffee", "COF-0001", 890),
    ("cocoa", "COC-0002", 650),
    ("mug", "MUG-0107", 1_250),
    ("teapot", "POT-0031", 3_400),
    ("honey", "HON-0009", 720),
)
"""Name, number and price in cents."""
_COUNTRIES: Final = {"DE": "EUR", "FR": "EUR", "GB": "GBP", "US": "USD"}


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


class Customer(NamedTuple):
    """Somebody with an account."""

    number: int
    country: str
    joined_on: str

    @property
    def email(self) -> Column:
        return ("email", "VARCHAR(254)", f"customer{self.number}@example.com")

    def row(self, *, wants_letters: bool) -> list[Column]:
        return [
            ("id", "INTEGER", self.number),
            self.email,
            ("country", "CHAR(2)", self.country),
            ("newsletter", "BOOLEAN", wants_letters),
            ("joined_on", "DATE", self.joined_on),
        ]


class Order:
    """What the shop knows of an order that may still change."""

    def __init__(self, number: int) -> None:
        self.id: Column = ("id", "INTEGER", number)
        self.reference: Column = ("order_id", "INTEGER", number)
        self.item = ""
        self.lines = 0
        self.cents = 0
        self.payment: Column | None = None
        self.status = "placed"

    @property
    def total(self) -> Column:
        return ("total", "DECIMAL(12,2)", money(self.cents))

    def becomes(self, status: str, *more: Column) -> Payload:
        self.status = status
        return update("orders", self.id, ("status", "TEXT", status), *more)


class Shop:
    """Makes valid transactions, one after the other. Each fits what those before have done."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now = _START
        self._customers: dict[int, Customer] = {}
        self._orders: list[Order] = []
        self._numbers = {"customer": 0, "order": 1_000}

    def next(self) -> Payload:
        """Return the next transaction. On average 100 minutes have passed since the last."""
        self._now += timedelta(seconds=self._random.randrange(60, 12_000))
        if not self._customers or self._happens(0.16):
            return self._join()
        if not self._orders or self._happens(0.3):
            return self._place()
        if self._happens(0.1):
            return self._change_customer()
        return self._advance(self._random.choice(self._orders[-60:]))

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    @property
    def now(self) -> str:
        return self._now.strftime("%Y-%m-%d %H:%M:%S+00:00")

    def _number(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]

    def _join(self) -> Payload:
        number = self._number("customer")
        self._customers[number] = Customer(
            number, self._random.choice(list(_COUNTRIES)), self._now.date().isoformat()
        )
        row = self._customers[number].row(wants_letters=self._happens(0.3))
        if self._happens(0.2):  # an old front end
            row.append(("ip_address", "TEXT", f"192.0.2.{self._random.randrange(256)}"))
        return transaction(insert("customers", *row))

    def _change_customer(self) -> Payload:
        """Close an account, which is found by its address, or take a changed one."""
        customer = self._random.choice(list(self._customers.values()))
        if self._happens(0.3):
            del self._customers[customer.number]
            return transaction(delete("customers", customer.email))
        return transaction(upsert("customers", *customer.row(wants_letters=self._happens(0.5))))

    def _place(self) -> Payload:
        is_guest = self._happens(0.25)
        customer = None if is_guest else self._random.choice(list(self._customers.values()))
        order = Order(self._number("order"))
        items = [self._line(order) for _ in range(self._random.choice((1, 1, 2)))]
        self._orders.append(order)
        return transaction(
            insert(
                "orders",
                order.id,
                ("item", "TEXT", order.item),
                ("customer_id", "INTEGER", customer and customer.number),
                ("status", "TEXT", order.status),
                order.total,
                ("currency", "CHAR(3)", _COUNTRIES[customer.country if customer else "DE"]),
                ("placed_at", "TIMESTAMP", self.now),
            ),
            *items,
        )

    def _line(self, order: Order) -> Payload:
        name, sku, price = self._random.choice(_ARTICLES)
        quantity = self._random.randrange(1, 5)
        order.lines += 1
        order.cents += quantity * price
        order.item = order.item or name
        return upsert(
            "items",
            order.reference,
            ("line", "SMALLINT", order.lines),
            ("sku", "TEXT", sku),
            ("quantity", "SMALLINT", quantity),
            ("price", "DECIMAL(10,2)", money(price)),
        )

    def _advance(self, order: Order) -> Payload:
        """Take an order one step further; those that have ended give way to a new one."""
        if order.status == "placed" and self._happens(0.12):
            return self._cancel(order)
        if order.status == "placed" and self._happens(0.2):
            line = self._line(order)
            return transaction(update("orders", order.id, order.total), line)
        if order.status == "placed":
            return self._pay(order)
        if order.status == "paid":
            return transaction(order.becomes("shipped"))
        if order.status == "shipped" and self._happens(0.1):
            return self._refund(order)
        self._orders.remove(order)
        return self._place()

    def _cancel(self, order: Order) -> Payload:
        order.cents = 0
        return transaction(
            order.becomes("cancelled", order.total), delete("items", order.reference)
        )

    def _pay(self, order: Order) -> Payload:
        order.payment = ("id", "UUID", str(UUID(int=self._random.getrandbits(128), version=4)))
        method = self._random.choice(("card", "card", "paypal", "transfer"))
        card = f"{self._random.randrange(10**15, 10**16)}" if method == "card" else None
        payment = insert(
            "payments",
            order.payment,
            order.reference,
            ("amount", "DECIMAL(12,2)", money(order.cents)),
            ("method", "TEXT", method),
            ("card", "TEXT", card),
            ("paid_at", "TIMESTAMP", self.now),
        )
        return transaction(order.becomes("paid"), payment)

    def _refund(self, order: Order) -> Payload:
        assert order.payment is not None  # noqa: S101  # it was shipped
        refund = update("payments", order.payment, ("refunded", "BOOLEAN", True))
        return transaction(order.becomes("returned"), refund)


def valid_history(count: int, random: Random) -> Iterator[Payload]:
    """Yield transactions that keep to the contracts and to one another."""
    shop = Shop(random)
    return (shop.next() for _ in range(count))


def faulty_bodies(count: int) -> Iterator[str]:
    """Yield bodies with a fault: all kinds in turn."""
    kinds = list(FAULTS.values())
    for number in range(count):
        payload = kinds[number % len(kinds)](number // len(kinds))
        yield payload if isinstance(payload, str) else body(payload)


def body(payload: Payload) -> str:
    return json.dumps(payload, separators=(",", ":"))


def lines() -> Iterator[str]:
    """Yield the file's lines."""
    random = Random(2026)
    valid = map(body, valid_history(TRANSACTIONS - FAULTY, random))
    faulty = faulty_bodies(FAULTY)
    places = set(random.sample(range(QUIET, TRANSACTIONS), FAULTY))
    for place in range(TRANSACTIONS):
        yield next(faulty if place in places else valid) + "\n"


if __name__ == "__main__":
    FILE.write_text("".join(lines()), "utf-8")
