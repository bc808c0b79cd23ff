"""Hostile bodies, each made from a seed and a number, so that a harmful one can be sent again."""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.hostile_words import BITES, NAMES, NUMBERS, ODD_TYPES, TEXTS, TYPES
from tests.support.server import LIMIT


class Hostile(NamedTuple):
    """A body as it goes over the wire, and its Content-Encoding; None is none."""

    wire: bytes
    encoding: str | None = None


def hostile(seed: int, number: int) -> Hostile:
    """Make body `number` of a seed: always the same one."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choices(_KINDS, _WEIGHTS)[0]
    body = kind(rng)
    if isinstance(body, Hostile):
        return body
    return Hostile(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))


def _columns(rng: random.Random, prefix: str = "c", *, keyed: bool = False) -> str:
    count = rng.choice((1, 1, 2, 3, 8))
    names = [f"{prefix}{index}" for index in range(count)]
    types = rng.choices(list(TYPES), k=count)
    values = [rng.choice(TYPES[each]) for each in types]
    if keyed:
        names, types, values = ["id", *names], ["INTEGER", *types], ["7", *values]
    return (
        f'"col_names": {json.dumps(names)}, "col_types": {json.dumps(types)},'
        f' "col_values": [{", ".join(values)}]'
    )


def _valid(rng: random.Random) -> str:
    activities = []
    for _ in range(rng.choice((1, 1, 2, 5))):
        table = rng.choice(("t1", "t2", "Orders_3"))
        operation = rng.choice(("insert", "insert", "delete", "update", "upsert"))
        match = f"{{{_columns(rng, 'm')}}}"
        more = {
            "insert": _columns(rng),
            "delete": f'"value_to_delete": {match}',
            "update": f'"value_to_match": {match}, {_columns(rng)}',
            "upsert": f'"key": ["id"], {_columns(rng, keyed=True)}',
        }
        head = f'"operation": "{operation}", "table": "{table}"'
        activities.append(f"{{{head}, {more[operation]}}}")
    return f'{{"activities": [{", ".join(activities)}]}}'


def _odd(rng: random.Random) -> Any:
    return rng.choice(
        (
            None, True, 0, 1.5, "", [], {}, [[]], {"a": {}}, "insert", "upsert", ["insert"],
            rng.choice(TEXTS), rng.choice(NAMES), rng.choice(ODD_TYPES), 10**30, [None] * 50,
        )
    )  # fmt: skip


def _reshaped(rng: random.Random) -> str:
    """Change a valid payload's values, keys and lists, and serialize it again."""
    payload = json.loads(_valid(rng))
    for _ in range(rng.choice((1, 1, 2, 4))):
        held: Any = payload
        while True:
            keys = list(held) if isinstance(held, dict) else list(range(len(held)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(held[key], dict | list) and held[key] and rng.random() < 0.8:
                held = held[key]
                continue
            _change(rng, held, key)
            break
    return json.dumps(payload, ensure_ascii=rng.random() < 0.5)


def _change(rng: random.Random, held: Any, key: Any) -> None:
    match rng.randrange(6):
        case 0:
            del held[key]
        case 1 if isinstance(held, dict):
            held[rng.choice((*TEXTS, "Activities", "operation ", "TABLE"))] = held.pop(key)
        case 2 if isinstance(held, dict):
            held[rng.choice(TEXTS)] = _odd(rng)
        case 3 if isinstance(held, list):
            held.extend([held[key]] * rng.choice((1, 2, 100)))
        case 4 if isinstance(held, list):
            held.insert(key, _odd(rng))
        case _:
            held[key] = _odd(rng)


def _spliced(rng: random.Random) -> str:
    """Replace a number, a text, a type or a name by one near the limits of the rule."""
    value, kind, name = "1", "INTEGER", "a"
    match rng.randrange(4):
        case 0:
            value, kind = rng.choice(NUMBERS), rng.choice(list(TYPES))
        case 1:
            text = json.dumps(rng.choice(TEXTS), ensure_ascii=rng.random() < 0.5)
            value, kind = text, rng.choice(list(TYPES))
        case 2:
            kind = rng.choice(ODD_TYPES)
        case _:
            name = rng.choice(NAMES)
    table = rng.choice((name, "t1"))
    return (
        f'{{"activities": [{{"operation": "insert", "table": {json.dumps(table)}, "col_names":'
        f' [{json.dumps(name)}], "col_types": [{json.dumps(kind)}], "col_values": [{value}]}}]}}'
    )


def _bitten(rng: random.Random) -> bytes:
    """Change the bytes of a valid body."""
    body = bytearray(_valid(rng).encode())
    for _ in range(rng.choice((1, 1, 2, 10))):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0:
                body[at : at + 1] = rng.randbytes(1)
            case 1:
                del body[at : at + rng.randrange(20)]
            case 2:
                body[at:at] = rng.choice(BITES)
            case 3:
                body = body[:at] or bytearray(b"{")
            case _:
                body[at:at] = body[at : at + rng.randrange(60)]
    return bytes(body)


def _deep(rng: random.Random) -> str:
    depth = rng.choice((60, 63, 64, 65, 100, 1_000, 20_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
    cut = rng.choice((0, 0, 1, depth))
    nested = opening * depth + "1" + closing * (depth - cut)
    if rng.random() < 0.5:
        return nested
    if cut:
        return _valid(rng).replace('"activities"', f'"x": {nested}, "activities"')
    head = '{"activities": [{"operation": "insert", "table": "t", "col_names": ["j"], '
    return f'{head}"col_types": ["JSON"], "col_values": [{nested}]}}]}}'


def _recoded(rng: random.Random) -> bytes:
    """Write a valid body in another encoding, or with bytes that editors and attackers add."""
    body = _valid(rng)
    match rng.randrange(7):
        case 0:
            made = body.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig")))
        case 1:
            made = body.encode("latin-1", "replace").replace(b"t1", b"t\xe9")
        case 2:
            made = body.replace('"activities"', '"\\u0061ctivities"').encode()
        case 3:
            made = body.replace(
                '"table"', f'"table": "{rng.choice(("t1", "x"))}", "table"'
            ).encode()
        case 4:
            made = rng.choice((b" ", b"\n\t", b"\0", b"\x0c", b"\xc2\xa0")) * 3 + body.encode()
        case 5:
            made = body.encode() + rng.choice((b" \n", b"\0", b"{}", b",", b"x", b"\x1a"))
        case _:
            made = f'"{rng.choice(TEXTS)}"'.encode()
    return made


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 2, 16, 300, 3_000)))


def _scalar(rng: random.Random) -> str:
    return rng.choice(
        (*NUMBERS, "null", "true", "{}", "[]", '""', '"', "[1]", '{"activities": null}')
    )


def _large(rng: random.Random) -> bytes:
    size = rng.choice((LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT))
    body = _valid(rng).encode()
    return body + b" " * (size - len(body))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # the same bytes at every time


def _compressed(rng: random.Random) -> Hostile:
    inner = hostile(rng.randrange(2**32), rng.randrange(2**32))
    body = inner.wire
    match rng.randrange(9):
        case 0:
            made = Hostile(zlib.compress(body), "deflate")
        case 1:
            made = Hostile(_gzip(body)[: -rng.randrange(1, 12)], "gzip")
        case 2:
            made = Hostile(_gzip(body) + rng.choice((b"x", _gzip(b"{}"))), "gzip")
        case 3:
            wire = bytearray(_gzip(body))
            wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)
            made = Hostile(bytes(wire), "gzip")
        case 4:
            made = Hostile(body, "gzip")
        case 5:
            made = Hostile(_BOMB, "gzip")
        case 6:
            made = Hostile(
                body, rng.choice(("br", "zstd", "gzip, gzip", "compress", "\u00e9", "*"))
            )
        case 7:
            made = Hostile(_gzip(_gzip(body)), "gzip")
        case _:
            made = Hostile(_gzip(body), "gzip")
    return made


_BOMB = gzip.compress(b"[" + b" " * 20_000_000)
_KINDS: tuple[Callable[[random.Random], str | bytes | Hostile], ...] = (
    _valid, _reshaped, _spliced, _bitten, _deep, _recoded, _noise, _scalar, _large, _compressed,
)  # fmt: skip
_WEIGHTS = (20, 20, 15, 15, 3, 8, 4, 4, 1, 10)
