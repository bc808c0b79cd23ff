"""The kinds of requests in a load: each makes the next requests of a stream.

What a stream must come to may not depend on the others, so tables that streams share are there with
all of their columns, and tables that are made or missing belong to one stream.
"""

from collections.abc import Callable, Iterator

from ops.trial.stream import COLUMNS, KEYS, SHARED, STRICT, Step, Stream, activity, body

WIDE_COLUMNS = 60
MANY_ROWS = 120
TOO_MANY_TABLES = 100
"""More than one BigQuery transaction takes, beside the ledger."""


def _usual(kind: str) -> Callable[[Stream, int], Iterator[Step]]:
    def steps(stream: Stream, left: int) -> Iterator[Step]:
        del left
        table = stream.table()
        match kind:
            case "insert":
                yield stream.step(kind, [stream.insert(table)])
            case "delete":
                yield stream.step(kind, [stream.delete(table)])
            case "update":
                k = stream.chance.randrange(KEYS)
                yield stream.step(kind, [stream.delete(table, k), stream.insert(table, k=k)])
            case "many_rows":
                count = stream.chance.randrange(2, MANY_ROWS)
                yield stream.step(kind, [stream.insert(table) for _ in range(count)])

    return steps


def _several_tables(stream: Stream, left: int) -> Iterator[Step]:
    del left
    tables = stream.chance.sample(SHARED, stream.chance.randint(2, len(SHARED)))
    yield stream.step("several_tables", [each for table in tables for each in stream.any(table)])


def _wide(stream: Stream, left: int) -> Iterator[Step]:
    del left
    row = stream.row()
    for number in range(WIDE_COLUMNS):
        row[f"w{number}"] = ("INTEGER", stream.chance.getrandbits(40))
    yield stream.step("wide", [activity("insert", f"wide_{stream.name}", row)])


def _poison(stream: Stream, left: int) -> Iterator[Step]:
    """Send what the rule takes and the warehouse refuses, alone and in company."""
    del left
    own = {"stream": (COLUMNS["stream"], stream.name)}
    bad = activity(
        "insert", STRICT, own | {"n": (COLUMNS["n"], stream.number()), "must": ("INTEGER", None)}
    )
    match stream.chance.randrange(4):
        case 0:
            yield stream.step("poison", [bad])
        case 1:
            table = stream.new_name("spoilt")
            yield stream.step("poison", [stream.insert(table), bad])
        case 2:
            good = own | {"n": (COLUMNS["n"], stream.number()), "must": ("INTEGER", 1)}
            yield stream.step("strict", [activity("insert", STRICT, good)])
        case _:
            table = stream.chance.choice(stream.tables)
            yield stream.step("poison", [*stream.any(table), bad, *stream.any(table)])


def _refused(stream: Stream, left: int) -> Iterator[Step]:
    """Send what the gate must refuse, beside something that it would take."""
    del left
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


def _table_missing(stream: Stream, left: int) -> Iterator[Step]:
    del left
    table = stream.new_name("ghost")
    near = stream.any(stream.chance.choice(stream.tables))
    yield stream.step("table_missing", [*near, stream.delete(table)])


def _column_missing(stream: Stream, left: int) -> Iterator[Step]:
    del left
    table = stream.table()
    bad = stream.delete(table)
    columns = bad["value_to_delete"]
    columns["col_names"].append("ghost")
    columns["col_types"].append("TEXT")
    columns["col_values"].append("?")
    yield stream.step("column_missing", [*stream.any(table), bad])


def _type_conflict(stream: Stream, left: int) -> Iterator[Step]:
    del left
    table = stream.table()
    bad = stream.unwanted(table)
    bad["col_types"][2], bad["col_values"][2] = "TEXT", "forty-two"
    yield stream.step("type_conflict", [*stream.any(table), bad])


def _too_large(stream: Stream, left: int) -> Iterator[Step]:
    del left
    names = [stream.new_name("many") for _ in range(TOO_MANY_TABLES)]
    yield stream.step("too_large", [stream.insert(name) for name in names])


def _fresh(stream: Stream, left: int) -> Iterator[Step]:
    """Make a table, which someone else may have made a moment before."""
    del left
    table = stream.new_name("fresh")
    stream.born.append(table)
    yield stream.step("fresh", [stream.insert(table, all_columns=True)])


def _late(stream: Stream, left: int) -> Iterator[Step]:
    """Delete from a table before it is there, and once more when it is: order decides."""
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


def _new_column(stream: Stream, left: int) -> Iterator[Step]:
    del left
    table = stream.own if stream.alone else f"wide_{stream.name}"
    row = stream.row()
    row[stream.new_name("extra")] = ("TEXT", "new")
    yield stream.step("new_column", [activity("insert", table, row)])


def _repeat_at_once(stream: Stream, left: int) -> Iterator[Step]:
    del left
    step = stream.step("insert", stream.any(stream.table()))
    yield step
    yield stream.again(step, "repeat")


def _repeat_later(stream: Stream, left: int) -> Iterator[Step]:
    del left
    if stream.sent:
        yield stream.again(stream.chance.choice(stream.sent), "repeat")


def _idempotency_conflict(stream: Stream, left: int) -> Iterator[Step]:
    del left
    single = [step for step in stream.sent if not step.batch]
    if single:
        data = body(*stream.any(stream.table()))
        yield stream.again(stream.chance.choice(single), "idempotency_conflict", data)


def _batch(stream: Stream, left: int) -> Iterator[Step]:
    """Send several lines at once; one of them may be one that the gate refuses."""
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


# Kind → its weight, and what it sends when so many transactions are left to the stream.
KINDS: dict[str, tuple[float, Callable[[Stream, int], Iterator[Step]]]] = {
    "insert": (30, _usual("insert")),
    "delete": (12, _usual("delete")),
    "update": (20, _usual("update")),
    "many_rows": (2, _usual("many_rows")),
    "several_tables": (12, _several_tables),
    "wide": (0.5, _wide),
    "poison": (0.3, _poison),
    "refused": (3, _refused),
    "table_missing": (1, _table_missing),
    "column_missing": (1, _column_missing),
    "type_conflict": (1, _type_conflict),
    "too_large": (0.02, _too_large),
    "fresh": (0.3, _fresh),
    "late": (0.3, _late),
    "new_column": (0.3, _new_column),
    "repeat_at_once": (2, _repeat_at_once),
    "repeat_later": (2, _repeat_later),
    "idempotency_conflict": (1, _idempotency_conflict),
    "batch": (1.5, _batch),
}
RARE = frozenset(
    {
        "fresh",
        "late",
        "new_column",
        "poison",
        "too_large",
        "table_missing",
        "column_missing",
        "type_conflict",
    }
)
"""Kinds that cost the warehouse a job, or a look at each table, every time: what they show, some
dozens of them show."""
ALONE = (
    "insert",
    "delete",
    "update",
    "many_rows",
    "refused",
    "column_missing",
    "type_conflict",
    "new_column",
    "repeat_at_once",
    "repeat_later",
    "idempotency_conflict",
    "batch",
)
