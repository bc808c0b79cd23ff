"""The kinds of requests in a load: each makes the next requests of a stream.

The expected state of a stream may not depend on other streams. So shared tables exist with all of
their columns from the start, and tables that are made or missing belong to one stream.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ops.trial.client_stream import (
    COLUMNS,
    KEYS,
    SHARED,
    STRICT,
    ActivityBody,
    ClientStream,
    Step,
    activity,
    body,
)
from ops.trial.model import MAX_TABLES

WIDE_COLUMNS = 60
MANY_ROWS = 120
TOO_MANY_TABLES = MAX_TABLES + 1

type Kind = Callable[[ClientStream, int], Iterable[Step]]
"""Makes requests, given how many transactions the stream has left."""


def _one(kind: str, activities: Callable[[ClientStream], list[ActivityBody]]) -> Kind:
    """Return a kind that sends one transaction."""
    return lambda stream, _: [stream.step(kind, activities(stream))]


def _many_rows(stream: ClientStream) -> list[ActivityBody]:
    table = stream.table()
    return [stream.insert(table) for _ in range(stream.chance.randrange(2, MANY_ROWS))]


def _several_tables(stream: ClientStream) -> list[ActivityBody]:
    tables = stream.chance.sample(SHARED, stream.chance.randint(2, len(SHARED)))
    return [each for table in tables for each in stream.any(table)]


def _wide(stream: ClientStream) -> list[ActivityBody]:
    row = stream.row()
    for number in range(WIDE_COLUMNS):
        row[f"w{number}"] = ("INTEGER", stream.chance.getrandbits(40))
    return [activity("insert", f"wide_{stream.name}", row)]


def _table_missing(stream: ClientStream) -> list[ActivityBody]:
    table = stream.new_name("ghost")
    bad = stream.chance.choice((stream.delete, stream.update))(table)
    return [*stream.any(stream.chance.choice(stream.tables)), bad]


def _column_missing(stream: ClientStream) -> list[ActivityBody]:
    table = stream.table()
    bad = stream.chance.choice((stream.delete, stream.update))(table)
    columns = bad.get("value_to_delete") or bad["value_to_match"]
    columns["col_names"].append("ghost")
    columns["col_types"].append("TEXT")
    columns["col_values"].append("?")
    return [*stream.any(table), bad]


def _type_conflict(stream: ClientStream) -> list[ActivityBody]:
    table = stream.table()
    bad = stream.unwanted(table)
    bad["col_types"][2], bad["col_values"][2] = "TEXT", "forty-two"
    return [*stream.any(table), bad]


def _too_large(stream: ClientStream) -> list[ActivityBody]:
    return [stream.insert(stream.new_name("many")) for _ in range(TOO_MANY_TABLES)]


def _fresh(stream: ClientStream) -> list[ActivityBody]:
    """Make a table that someone else may have made a moment before."""
    table = stream.new_name("fresh")
    stream.born.append(table)
    return [stream.insert(table, all_columns=True)]


def _new_column(stream: ClientStream) -> list[ActivityBody]:
    row = stream.row()
    row[stream.new_name("extra")] = ("TEXT", "new")
    return [activity("insert", stream.own if stream.alone else f"wide_{stream.name}", row)]


def _poison(stream: ClientStream, _: int) -> Iterator[Step]:
    """Send a NULL for a required column, alone and together with valid activities."""

    def strict(must: int | None) -> dict[str, Any]:
        own = {"stream": (COLUMNS["stream"], stream.name), "n": (COLUMNS["n"], stream.number())}
        return activity("insert", STRICT, {**own, "must": ("INTEGER", must)})

    match stream.chance.randrange(4):
        case 0:
            yield stream.step("poison", [strict(None)])
        case 1:
            table = stream.new_name("spoilt")
            yield stream.step("poison", [stream.insert(table), strict(None)])
        case 2:
            yield stream.step("strict", [strict(1)])
        case _:
            table = stream.chance.choice(stream.tables)
            activities = [*stream.any(table), strict(None), *stream.any(table)]
            yield stream.step("poison", activities)


def _refused(stream: ClientStream, _: int) -> Iterator[Step]:
    """Send an invalid activity after a valid one."""
    good, bad = stream.unwanted(stream.table()), stream.unwanted(stream.table())
    data = b""
    match stream.chance.randrange(5):
        case 0:
            bad["col_values"] = bad["col_values"][:-1]
        case 1:
            bad["col_types"][1] = "GEOMETRY"
        case 2:
            bad["col_values"][1] = "one"
        case 3:
            bad["table"] = "gatekeeper_ledger"
        case _:
            data = body(good)[:-1]
    yield stream.step("refused", [good, bad], valid=False, data=data)


def _late(stream: ClientStream, left: int) -> Iterator[Step]:
    """Delete from a table before it exists and again after: only the order explains the outcome."""
    table = stream.new_name("late")
    k = stream.chance.randrange(KEYS)
    early, insert = stream.delete(table, k), stream.insert(table, all_columns=True, k=k)
    after = stream.insert(table)
    steps = (
        ("table_missing", [early]),
        ("late", [insert]),
        ("late", [stream.delete(table, k), after]),
    )
    for kind, activities in steps[:left]:
        yield stream.step(kind, activities)
    if left >= len(steps):
        stream.born.append(table)


def _repeat_at_once(stream: ClientStream, _: int) -> Iterator[Step]:
    step = stream.step("insert", stream.any(stream.table()))
    yield step
    yield stream.again(step, "repeat")


def _repeat_later(stream: ClientStream, _: int) -> Iterator[Step]:
    if stream.sent:
        yield stream.again(stream.chance.choice(stream.sent), "repeat")


def _idempotency_conflict(stream: ClientStream, _: int) -> Iterator[Step]:
    single = [step for step in stream.sent if not step.batch]
    if single:
        data = body(*stream.any(stream.table()))
        yield stream.again(stream.chance.choice(single), "idempotency_conflict", data)


def _batch(stream: ClientStream, left: int) -> Iterator[Step]:
    """Send several lines; one of them may be invalid."""
    count = min(left, stream.chance.randrange(3, 16))
    bodies = [body(*stream.any(stream.table())) for _ in range(count)]
    valid = [True] * count
    if stream.chance.random() < 0.3:  # noqa: PLR2004
        bad = stream.unwanted(stream.table())
        bad["col_types"][1] = "GEOMETRY"
        place = stream.chance.randrange(count)
        bodies.insert(place, body(bad))
        valid.insert(place, False)
    yield stream.request("batch", tuple(bodies), tuple(valid), batch=True)


# Each kind with its weight.
KINDS: dict[str, tuple[float, Kind]] = {
    "insert": (30, _one("insert", lambda stream: [stream.insert(stream.table())])),
    "delete": (12, _one("delete", lambda stream: [stream.delete(stream.table())])),
    "replace": (10, _one("replace", lambda stream: stream.replace(stream.table()))),
    "update": (10, _one("update", lambda stream: [stream.update(stream.table())])),
    "upsert": (10, _one("upsert", lambda stream: stream.write(stream.table()))),
    "many_rows": (2, _one("many_rows", _many_rows)),
    "several_tables": (12, _one("several_tables", _several_tables)),
    "wide": (0.5, _one("wide", _wide)),
    "poison": (0.3, _poison),
    "refused": (3, _refused),
    "table_missing": (1, _one("table_missing", _table_missing)),
    "column_missing": (1, _one("column_missing", _column_missing)),
    "type_conflict": (1, _one("type_conflict", _type_conflict)),
    "too_large": (0.02, _one("too_large", _too_large)),
    "fresh": (0.3, _one("fresh", _fresh)),
    "late": (0.3, _late),
    "new_column": (0.3, _one("new_column", _new_column)),
    "repeat_at_once": (2, _repeat_at_once),
    "repeat_later": (2, _repeat_later),
    "idempotency_conflict": (1, _idempotency_conflict),
    "batch": (1.5, _batch),
}
# These cost the warehouse a job or a look-up of every table each time. Some dozens suffice.
RARE = {"fresh", "late", "new_column", "poison", "too_large", "table_missing", "column_missing"}
RARE |= {"type_conflict"}
# These need other tables than the one of a stream that is alone.
_SEVERAL = {"several_tables", "wide", "poison", "table_missing", "too_large", "fresh", "late"}
ALONE = KINDS.keys() - _SEVERAL
