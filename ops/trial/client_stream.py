"""One stream of a load: the requests that a client sends in order under one ordering key.

Every row has its stream's name and a number that the stream uses once. So a row identifies the
transaction that inserted it, and no stream can change another's rows.
"""

import json
import random
from collections import Counter, defaultdict, deque
from typing import Any, NamedTuple
from zlib import crc32

SOURCES = ("billing", "orders", "stock")
SHARED = tuple(f"shared_{number}" for number in range(3))
STRICT = "strict"
"""A table with a required column, which the rule does not check: BigQuery rejects a NULL in it."""
LONG = 150
"""A stream with more transactions sends its rare kinds no more often: see `load_plan.RARE_IN`."""
FOREIGN = "foreign_"
"""The prefix of columns that someone else adds."""
COLUMNS = {
    "stream": "TEXT",
    "n": "INTEGER",
    "k": "INTEGER",
    "v": "TEXT",
    "amount": "DECIMAL(12,2)",
    "at": "TIMESTAMP",
    "flag": "BOOLEAN",
}
KEYS = 40
"""Values of `k` in a table and stream: few, so that deletes find rows and tables stay small."""
RECENT_ROWS = 30
SETTABLE = ("k", "v", "amount", "at", "flag")
"""Columns that an update may set: a row keeps its stream and number."""
OTHERWISE = 0.03
"""How often a table's rows are not matched by the columns that they usually are matched by.

In a stream of up to LONG transactions; in a longer one as many times as in that. Each change of the
columns is one statement more for a batch, so statements would otherwise grow with the batches.
"""
# The columns that rows name: few sets, since a statement of the warehouse has the rows of one set.
_SHAPES = (tuple(COLUMNS), tuple(COLUMNS), ("stream", "n", "k", "v"))
_LONGEST_TEXT = 3_000

type ActivityBody = dict[str, Any]

type Values = dict[str, tuple[str, Any]]
"""Columns with their types and values."""


class Step(NamedTuple):
    """One request: a body, or the lines of a batch. `valid` is whether each must be accepted.

    `key` is the Idempotency-Key; without an `ordering_key` that header is not sent. A step that
    `repeats` was answered before.
    """

    stream: str
    source: str
    number: int
    kind: str
    key: str
    ordering_key: str | None
    bodies: tuple[bytes, ...]
    valid: tuple[bool, ...]
    batch: bool = False
    repeats: bool = False


def columns(values: Values) -> dict[str, list[Any]]:
    return {
        "col_names": list(values),
        "col_types": [declared for declared, _ in values.values()],
        "col_values": [value for _, value in values.values()],
    }


def activity(operation: str, table: str, values: Values) -> ActivityBody:
    """Return an insert or a delete."""
    if operation == "insert":
        return {"operation": operation, "table": table, **columns(values)}
    return {"operation": operation, "table": table, "value_to_delete": columns(values)}


def body(*activities: ActivityBody) -> bytes:
    return json.dumps({"activities": activities}, ensure_ascii=False).encode()


class ClientStream:
    """Makes activities and requests, which the seed alone decides.

    `transactions` is the number of valid bodies, without repeats; `first` are the kinds that it
    begins with. A stream that is `alone` uses one table that no other uses, and no Ordering-Key.
    """

    def __init__(
        self, number: int, transactions: int, seed: int, first: list[str], *, alone: bool
    ) -> None:
        self.name = f"s{number:02d}"
        self.source = SOURCES[number % len(SOURCES)]
        self.transactions = transactions
        self.alone = alone
        self.first = first
        self._seed = seed
        self.chance = random.Random(f"{seed}/{self.name}")  # noqa: S311  # a plan, no secret
        self.own = f"own_{self.name}"
        """A table that no other stream uses."""
        self.tables = (self.own,) if alone else tuple(self.chance.sample(SHARED, 2))
        self.born: list[str] = []
        """Tables that it has made during the load."""
        self.long = transactions > LONG
        self._otherwise = OTHERWISE * min(1.0, LONG / max(transactions, 1))
        self.sent: list[Step] = []
        """Its latest requests whose bodies are all valid."""
        self._rows = 0
        self._requests = 0
        self._names = Counter[str]()
        self._recent = defaultdict[str, deque[Values]](lambda: deque(maxlen=RECENT_ROWS))
        """By table: after many rows for one there are still some of the others to match."""

    @property
    def next_table(self) -> str:
        """The table that the stream's next `fresh` transaction makes."""
        return f"fresh_{self.name}_{self._names['fresh']}"

    def number(self) -> int:
        self._rows += 1
        return self._rows

    def row(self, *, all_columns: bool = False) -> Values:
        chance = self.chance
        values: dict[str, Any] = {
            "stream": self.name,
            "n": self.number(),
            "k": chance.randrange(KEYS),
            "v": self._text(),
            "amount": f"{chance.randrange(-(10**11), 10**11) / 100:.2f}",
            "at": f"20{chance.randrange(100):02d}-03-27T11:58:28.{chance.randrange(10**6):06d}Z",
            "flag": chance.choice((True, False, None)),
        }
        kept = tuple(values) if all_columns else chance.choice(_SHAPES)
        return {name: (COLUMNS[name], values[name]) for name in kept}

    def _text(self) -> str | None:
        chance = self.chance
        match chance.randrange(12):
            case 0:
                return None
            case 1:
                return "it's \"\\\n`é😀 -- ; DROP"
            case 2:
                return "x" * chance.randrange(_LONGEST_TEXT)
        return f"{chance.getrandbits(64):x}"

    def table(self) -> str:
        """Return a table that exists.

        A long stream uses only the latest of the tables that it has made: each has its own
        statements in every batch, and the embedded warehouse is slow with hundreds of them.
        """
        born = self.born[-1:] if self.long else self.born[-3:]
        return self.chance.choice((*self.tables, *born))

    def insert(
        self, table: str, *, all_columns: bool = False, k: int | None = None
    ) -> ActivityBody:
        """Insert a new row, which may be deleted later; with this `k`, if given."""
        row = self.row(all_columns=all_columns)
        if k is not None:
            row["k"] = (COLUMNS["k"], k)
        self._recent[table].append(row)
        return activity("insert", table, row)

    def unwanted(self, table: str) -> ActivityBody:
        """Insert a row of a transaction that must be rejected."""
        return activity("insert", table, self.row())

    def _by_number(self, table: str) -> bool:
        """Whether to match rows by their number, not by `k`: mostly the same way for a table.

        As with tables that have a key. Each change of the way costs a batch a statement, and the
        embedded warehouse is slow with hundreds of them.
        """
        usual = crc32(table.encode()) % 2 == 0
        return usual != (self.chance.random() < self._otherwise)

    def _match(self, table: str, k: int | None = None) -> Values:
        """Return columns that rows of the stream may have; with this `k`, if given."""
        own: Values = {"stream": (COLUMNS["stream"], self.name)}
        rows = self._recent[table]
        if k is None and rows and self._by_number(table):
            return own | {"n": self.chance.choice(rows)["n"]}
        return own | {"k": (COLUMNS["k"], self.chance.randrange(KEYS) if k is None else k)}

    def delete(self, table: str, k: int | None = None) -> ActivityBody:
        """Delete rows that the stream may have inserted; those with this `k`, if given."""
        rows = [row for row in self._recent[table] if len(row) == len(COLUMNS)]
        if k is None and rows and self.chance.random() < self._otherwise:
            return activity("delete", table, self.chance.choice(rows))
        return activity("delete", table, self._match(table, k))

    def update(self, table: str) -> ActivityBody:
        """Change rows that the stream may have inserted; now and then the `k` that it matches."""
        match = self._match(table)
        settable: tuple[str, ...] = SETTABLE
        if "k" in match and self.chance.random() >= self._otherwise:
            settable = SETTABLE[1:]
        names = self.chance.sample(settable, self.chance.randint(1, len(settable)))
        row = self.row(all_columns=True)
        sets = {name: row[name] for name in names}
        matched = {"value_to_match": columns(match)}
        return {"operation": "update", "table": table, **matched, **columns(sets)}

    def upsert(self, table: str) -> ActivityBody:
        """Write a row by its number: a new one, or one that it may have inserted."""
        row = self.row()
        rows = self._recent[table]
        if rows and self.chance.random() < 0.7:  # noqa: PLR2004
            row["n"] = self.chance.choice(rows)["n"]
        self._recent[table].append(row)
        return {"operation": "upsert", "table": table, "key": ["stream", "n"], **columns(row)}

    def any(self, table: str) -> list[ActivityBody]:
        """Return the activities of a usual transaction on one table."""
        way = self.chance.random()
        if way < 0.4:  # noqa: PLR2004
            return [self.insert(table) for _ in range(self.chance.choice((1, 1, 1, 2, 5)))]
        if way < 0.5:  # noqa: PLR2004
            return [self.delete(table)]
        if way < 0.65:  # noqa: PLR2004
            return [self.update(table) for _ in range(self.chance.choice((1, 1, 3)))]
        return self.write(table) if way < 0.8 else self.replace(table)  # noqa: PLR2004

    def write(self, table: str) -> list[ActivityBody]:
        """Upsert rows; where rows are not matched by their number, update them."""
        one = self.upsert if self._by_number(table) else self.update
        return [one(table) for _ in range(self.chance.choice((1, 1, 3)))]

    def replace(self, table: str) -> list[ActivityBody]:
        """Delete rows and insert one; by `k` it is in the place of those deleted."""
        if self._by_number(table):
            return [self.delete(table), self.insert(table)]
        k = self.chance.randrange(KEYS)
        return [self.delete(table, k), self.insert(table, k=k)]

    def new_name(self, what: str) -> str:
        """Return an unused name."""
        name = f"{what}_{self.name}_{self._names[what]}"
        self._names[what] += 1
        return name

    def step(
        self, kind: str, activities: list[ActivityBody], *, valid: bool = True, data: bytes = b""
    ) -> Step:
        """Return a request of one transaction; `data` replaces its body, if given."""
        return self.request(kind, (data or body(*activities),), (valid,))

    def request(
        self, kind: str, bodies: tuple[bytes, ...], valid: tuple[bool, ...], *, batch: bool = False
    ) -> Step:
        """Return a request of one body, or a batch of them."""
        number = self._requests
        self._requests += 1
        key = f"{self._seed}-{self.name}-{number}"
        ordering_key = None if self.alone else self.name
        step = Step(
            self.name, self.source, number, kind, key, ordering_key, bodies, valid, batch=batch
        )
        if all(valid):
            self.sent = [*self.sent[-40:], step]
        return step

    def again(self, step: Step, kind: str, data: bytes | None = None) -> Step:
        """Return a request with the key of an earlier one: the same body, or another."""
        number = self._requests
        self._requests += 1
        if data is None:
            return step._replace(number=number, kind=kind, repeats=True)
        return step._replace(number=number, kind=kind, bodies=(data,))
