"""Random transactions over few tables, few columns and small ranges, so that they meet often."""

import json
from typing import Any

from hypothesis import strategies as st

# Column → its types, the usual one first, and the values that are drawn for it.
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    "n": (("INTEGER", "BIGINT"), (0, 1, -(2**63), None)),
    "s": (("TEXT", "VARCHAR(20)", "UUID"), ("", "x", "it's \"\\\n\0`é😀", None)),
    "f": (("DOUBLE",), (0.0, -0.0, 0.1, 1.7976931348623157e308, None)),
    "o": (("BOOLEAN",), (True, False, None)),
    "d": (("DECIMAL(10,2)", "DECIMAL(5,2)", "DECIMAL(12,4)", "DECIMAL"), (0, "1.50", "-1.5", None)),
    "w": (("DECIMAL(38,20)", "DECIMAL(37,20)"), ("0.12345678901234567891", 1, None)),
    "day": (("DATE",), ("0001-01-01", "2024-02-29", None)),
    "at": (("TIME",), ("00:00", "23:59:59.999999", None)),
    "dt": (("DATETIME",), ("2018-03-27 11:58:28.988414", "0001-01-01", None)),
    "ts": (
        ("TIMESTAMP", "TIMESTAMPTZ"),
        ("2018-03-27T11:58:28+02:00", "2018-03-27 09:58:28", None),
    ),
    "j": (("JSON", "JSONB"), ({"b": [1, None], "a": "é"}, [], "", True, None)),
    "y": (("BYTES", "BINARY(4)"), ("", "AAEC", None)),
}
_USUAL = ("n", "n", "n", "s", "s", *COLUMNS)


@st.composite
def _columns(draw: st.DrawFn, most: int) -> dict[str, list[Any]]:
    names = draw(st.lists(st.sampled_from(_USUAL), min_size=1, max_size=most, unique=True))
    types, values, spelled = [], [], []
    for name in names:
        kinds, range_ = COLUMNS[name]
        value = draw(st.sampled_from(range_))
        kind = draw(st.sampled_from(kinds)) if draw(st.integers(0, 5)) == 0 else kinds[0]
        if draw(st.integers(0, 24)) == 0:  # a conflict with what the column usually is
            kind, value = draw(st.sampled_from([("TEXT", "x"), ("INTEGER", 1), ("DATE", None)]))
        spelled.append(name.upper() if draw(st.integers(0, 3)) == 0 else name)
        types.append(kind)
        values.append(value)
    return {"col_names": spelled, "col_types": types, "col_values": values}


@st.composite
def activities(draw: st.DrawFn, tables: tuple[str, ...]) -> dict[str, Any]:
    """Draw one valid activity."""
    head = {"table": draw(st.sampled_from(tables))}
    match draw(st.integers(0, 6)):
        case 0 | 1:
            return {"operation": "delete", **head, "value_to_delete": draw(_columns(2))}
        case 2:
            return {"operation": "update", **head, **draw(_update())}
        case 3:
            return {"operation": "upsert", **head, **draw(_upsert())}
    return {"operation": "insert", **head, **draw(_columns(4))}


@st.composite
def _update(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what an update matches on and sets; a column in both has its usual type."""
    match, sets = draw(_columns(2)), draw(_columns(3))
    both = {name.lower() for name in match["col_names"]} & {n.lower() for n in sets["col_names"]}
    for columns in (match, sets):
        for place, name in enumerate(columns["col_names"]):
            if name.lower() in both:
                kinds, range_ = COLUMNS[name.lower()]
                columns["col_types"][place] = kinds[0]
                columns["col_values"][place] = draw(st.sampled_from(range_))
    return {"value_to_match": match, **sets}


@st.composite
def _upsert(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a row and its key, whose values are not null."""
    row = draw(_columns(4))
    key = row["col_names"][: draw(st.integers(1, 2))]
    for place, name in enumerate(key):
        if row["col_values"][place] is None:
            kinds, range_ = COLUMNS[name.lower()]
            row["col_types"][place], row["col_values"][place] = kinds[0], range_[0]
    return {"key": key, **row}


@st.composite
def bodies(draw: st.DrawFn, tables: tuple[str, ...]) -> bytes:
    """Draw a body: mostly a valid transaction, now and then one that breaks the rule."""
    if draw(st.integers(0, 29)) == 0:
        return draw(st.sampled_from([b"", b"{", b"[]", b'{"activities": []}', b'{"activities":1}']))
    drawn = draw(st.lists(activities(tables), min_size=1, max_size=4))
    return json.dumps({"activities": drawn}).encode()


@st.composite
def messages(
    draw: st.DrawFn, tables: tuple[str, ...], *, least: int, most: int
) -> list[tuple[str, bytes]]:
    """Draw ids and bodies, in order; some are sent again, some ids come with another body."""
    drawn: list[tuple[str, bytes]] = []
    for index, body in enumerate(draw(st.lists(bodies(tables), min_size=least, max_size=most))):
        again = draw(st.integers(0, 11)) if drawn else 11
        earlier = draw(st.sampled_from(drawn)) if again < 2 else ("", b"")
        drawn.append(earlier if again == 0 else (earlier[0] or f"{tables[0]}-{index}", body))
    return drawn


def cuts(most: int) -> st.SearchStrategy[list[int]]:
    """Draw the sizes of batches."""
    return st.lists(st.integers(1, most), min_size=1, max_size=8)


def cut[T](items: list[T], sizes: list[int]) -> list[list[T]]:
    """Cut a list into parts of these sizes, over and over."""
    parts: list[list[T]] = []
    start = 0
    while start < len(items):
        size = sizes[len(parts) % len(sizes)]
        parts.append(items[start : start + size])
        start += size
    return parts
