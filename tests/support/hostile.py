"""Hostile bodies, each made from a seed and its number, so that one that did harm can be sent again.

`python -m tests.support.hostile --count 200000 --seed 1` sends them to a real server and holds every
answer against the rule; `--only N` sends one.
"""

import argparse
import asyncio
import functools
import gzip
import json
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

import schema
from tests.support.server import LIMIT, Server, services, serving

_ROUTES = ("/api/activities/validate", "/api/activities")

TEXTS = (
    "", " ", "x", "\0", "\x7f", "é", "e\u0301", "ß", "İ", "ſ", "K", "日本", "😀", "👨‍👩‍👧",
    "\u202egnp.exe", "\u2028\u2029", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "ａ", "Ω", "\u200b",
    "'; DROP TABLE t; --", '"', "\\", "\\u0000", "${7*7}", "{{x}}", "%s%n", "../../etc/passwd",
    "NaN", "null", "true", "1", "-0", "\r\nX-Injected: 1", "a" * 5_000, "\U0001f600" * 500,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "-1", "1.0", "1e0", "0.1", "-0.0", "5e-324", "1e-400", "1e308", "1e309", "-1e400",
    "1e999999999", "1e-999999999", "1e99999999999999999999", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "1" * 400, "9" * 5_000, "0." + "0" * 400 + "1", "0.1234567890123456789012345678901234567890",
    "99999999999999999999999999999.999999999", "01", "1.", ".5", "+1", "0x10", "1_000", "1e", "١",
    "NaN", "Infinity", "-Infinity",
)  # fmt: skip
TYPES: dict[str, tuple[str, ...]] = {
    "INTEGER": ("1", "-9223372036854775808", "null"),
    "bigint": ("0", "9223372036854775807"),
    "TEXT": ('"x"', '""', r'"\u0000\ud83d\ude00"', '"é😀"'),
    "varchar( 3 )": ('"abc"', '"é"'),
    "DOUBLE  PRECISION": ("0.5", "1", "-0.0"),
    "BOOL": ("true", "false"),
    "DECIMAL(10,2)": ("1.50", '"-1.5"', "12345678.9"),
    "Numeric": ('"0.000000001"',),
    "DECIMAL(38,20)": ('"0.12345678901234567891"',),
    "DATE": ('"2024-02-29"', '"0001-01-01"'),
    "TIME": ('"23:59:59.999999"', '"00:00"'),
    "DATETIME": ('"2018-03-27 11:58:28.988414"',),
    "TIMESTAMPTZ": ('"2018-03-27T11:58:28+02:00"', '"9999-12-31T23:59:59Z"'),
    "JSONB": ('{"a": [1, null, {"b": 2}]}', "[]", '""', "1.5"),
    "BYTEA": ('"AAEC"', '""'),
    "BINARY(4)": ('"AAEC"',),
}
ODD_TYPES = (
    "", " ", "INT(1)", "VARCHAR", "VARCHAR(0)", "VARCHAR(-1)", "DECIMAL(39,39)", "DECIMAL(0)",
    "DECIMAL(77,38)", "DECIMAL(1,2)", "DECIMAL(10,2", "ＩＮＴ", "INTEGER\0", "INTEGER;", "ınteger",
    "VARCHAR(٣)", "TEXT" * 50, "DECIMAL(" + "9" * 80 + ")", "ARRAY<INT64>", "GEOMETRY",
)  # fmt: skip
NAMES = (
    "gatekeeper_ledger", "GateKeeper_x", "_table_x", "_PARTITIONTIME", "1a", "a-b", "a.b", "`a`",
    "a b", "á", "ａ", "a\n", "a" * 300, "a" * 301, "t" * 1_024, "t" * 1_025, "t1$20240101",
)  # fmt: skip


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


def expected(one: Hostile, limit: int = LIMIT) -> set[int]:
    """Say what the contract answers: 200, 400, 413 or 415. Independent of the server's own code.

    Only a body that is too large and broken as well may be told either.
    """
    if len(one.wire) > limit:
        return {413}
    if one.encoding not in _WBITS:
        return {415}
    body, whole = one.wire, True
    if one.encoding is not None:
        body, whole = _inflated(one.wire, _WBITS[one.encoding], limit)
    if len(body) > limit:
        return {413} if whole else {400, 413}
    if not whole:
        return {400}
    try:
        schema.check_body(body)
    except (schema.InvalidJSON, schema.InvalidSchema):
        return {400}
    return {200}


_WBITS: dict[str | None, int] = {None: 0, "gzip": 31, "deflate": 15}


@functools.lru_cache(64)
def _inflated(wire: bytes, wbits: int, limit: int) -> tuple[bytes, bool]:
    """Return what comes out, cut some bytes past the limit, and whether the stream is whole."""
    inflater = zlib.decompressobj(wbits)
    body = b""
    try:
        for at in range(len(wire)):  # so that what precedes a fault does come out
            body += inflater.decompress(wire[at : at + 1])
    except zlib.error:
        return body[: limit + 1], False
    return body[: limit + 1], inflater.eof and not inflater.unused_data


def _columns(rng: random.Random) -> str:
    count = rng.choice((1, 1, 2, 3, 8))
    names = [f"c{index}" for index in range(count)]
    types = rng.choices(list(TYPES), k=count)
    values = [rng.choice(TYPES[each]) for each in types]
    return (
        f'"col_names": {json.dumps(names)}, "col_types": {json.dumps(types)},'
        f' "col_values": [{", ".join(values)}]'
    )


def _valid(rng: random.Random) -> str:
    activities = []
    for _ in range(rng.choice((1, 1, 2, 5))):
        table = rng.choice(("t1", "t2", "Orders_3"))
        if rng.random() < 0.5:  # noqa: PLR2004
            text = f'{{"operation": "insert", "table": "{table}", {_columns(rng)}}}'
        else:
            columns = f"{{{_columns(rng)}}}"
            text = f'{{"operation": "delete", "table": "{table}", "value_to_delete": {columns}}}'
        activities.append(text)
    return f'{{"activities": [{", ".join(activities)}]}}'


def _odd(rng: random.Random) -> Any:
    return rng.choice(
        (
            None, True, 0, 1.5, "", [], {}, [[]], {"a": {}}, "insert", "upsert", ["insert"],
            rng.choice(TEXTS), rng.choice(NAMES), rng.choice(ODD_TYPES), 10**30, [None] * 50,
        )
    )  # fmt: skip


def _reshaped(rng: random.Random) -> str:
    """Change a valid payload's values, keys and lists, and write it anew."""
    payload = json.loads(_valid(rng))
    for _ in range(rng.choice((1, 1, 2, 4))):
        held: Any = payload
        while True:
            keys = list(held) if isinstance(held, dict) else list(range(len(held)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(held[key], dict | list) and held[key] and rng.random() < 0.8:  # noqa: PLR2004
                held = held[key]
                continue
            _change(rng, held, key)
            break
    return json.dumps(payload, ensure_ascii=rng.random() < 0.5)  # noqa: PLR2004


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
    """Put a number, a text, a type or a name where the rule has its own ideas of them."""
    value, kind, name = "1", "INTEGER", "a"
    match rng.randrange(4):
        case 0:
            value, kind = rng.choice(NUMBERS), rng.choice(list(TYPES))
        case 1:
            text = json.dumps(rng.choice(TEXTS), ensure_ascii=rng.random() < 0.5)  # noqa: PLR2004
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
                body[at:at] = rng.choice(_BITES)
            case 3:
                body = body[:at] or bytearray(b"{")
            case _:
                body[at:at] = body[at : at + rng.randrange(60)]
    return bytes(body)


_BITES = (
    b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    rb"\ud800", rb"\udc00\ud800", rb"\u0000", rb"\x", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":",
    b"//", b"/**/", b"\n", b"\r", b"\x0b", b"\xc2\xa0", b"NaN", b"1e999", b"'", b"null",
)  # fmt: skip


def _deep(rng: random.Random) -> str:
    depth = rng.choice((60, 63, 64, 65, 100, 1_000, 20_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
    cut = rng.choice((0, 0, 1, depth))
    nested = opening * depth + "1" + closing * (depth - cut)
    if rng.random() < 0.5:  # noqa: PLR2004
        return nested
    return (
        _valid(rng).replace('"activities"', f'"x": {nested}, "activities"')
        if cut
        else (
            f'{{"activities": [{{"operation": "insert", "table": "t", "col_names": ["j"], "col_types":'
            f' ["JSON"], "col_values": [{nested}]}}]}}'
        )
    )


def _recoded(rng: random.Random) -> bytes:
    """Write a valid body in another encoding, or with what editors and attackers put around it."""
    body = _valid(rng)
    match rng.randrange(7):
        case 0:
            return body.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig")))
        case 1:
            return body.encode("latin-1", "replace").replace(b"t1", b"t\xe9")
        case 2:
            return body.replace('"activities"', '"\\u0061ctivities"').encode()
        case 3:
            return body.replace(
                '"table"', f'"table": "{rng.choice(("t1", "x"))}", "table"'
            ).encode()
        case 4:
            return rng.choice((b" ", b"\n\t", b"\0", b"\x0c", b"\xc2\xa0")) * 3 + body.encode()
        case 5:
            return body.encode() + rng.choice((b" \n", b"\0", b"{}", b",", b"x", b"\x1a"))
    return f'"{rng.choice(TEXTS)}"'.encode()


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
            return Hostile(zlib.compress(body), "deflate")
        case 1:
            return Hostile(_gzip(body)[: -rng.randrange(1, 12)], "gzip")
        case 2:
            return Hostile(_gzip(body) + rng.choice((b"x", _gzip(b"{}"))), "gzip")
        case 3:
            wire = bytearray(_gzip(body))
            wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)
            return Hostile(bytes(wire), "gzip")
        case 4:
            return Hostile(body, "gzip")
        case 5:
            return Hostile(_BOMB, "gzip")
        case 6:
            return Hostile(
                body, rng.choice(("br", "zstd", "gzip, gzip", "compress", "\u00e9", "*"))
            )
        case 7:
            return Hostile(_gzip(_gzip(body)), "gzip")
    return Hostile(_gzip(body), "gzip")


_BOMB = gzip.compress(b"[" + b" " * 20_000_000)
_KINDS: tuple[Callable[[random.Random], str | bytes | Hostile], ...] = (
    _valid, _reshaped, _spliced, _bitten, _deep, _recoded, _noise, _scalar, _large, _compressed,
)  # fmt: skip
_WEIGHTS = (20, 20, 15, 15, 3, 8, 4, 4, 1, 10)


class Tally:
    """What was sent and answered; `faults` are the answers that the contract does not have."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.faults: list[str] = []
        self.slowest = 0.0


async def send(
    url: str, seed: int, numbers: Iterable[int], tally: Tally, clients: int = 32
) -> None:
    """Send bodies of a seed, so many at a time, each to one of the two routes, and judge answers."""
    each = iter(numbers)
    timeout = aiohttp.ClientTimeout(total=60)

    async def client(session: aiohttp.ClientSession) -> None:
        for number in each:
            one = hostile(seed, number)
            fault = await _judged(session, url + _ROUTES[number % 2], one, tally)
            if fault:
                tally.faults.append(f"--seed {seed} --only {number}: {fault}")
                sys.stderr.write(f"{tally.faults[-1]}\n")

    async with (
        aiohttp.ClientSession(
            timeout=timeout, headers={"Content-Type": "application/json"}
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(clients):
            group.create_task(client(session))


async def _judged(
    session: aiohttp.ClientSession, url: str, one: Hostile, tally: Tally
) -> str | None:
    headers = {} if one.encoding is None else {"Content-Encoding": one.encoding}
    began = time.monotonic()
    try:
        async with session.post(url, data=one.wire, headers=headers) as answer:
            status, text = answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"no answer: {type(error).__name__}: {error}"
    tally.slowest = max(tally.slowest, time.monotonic() - began)
    tally.statuses[status] += 1
    if status == 503:  # noqa: PLR2004  # deliberate: it says when to come again
        return None if "Retry-After" in answer.headers else "503 without Retry-After"
    right = expected(one)
    if status not in right:
        return f"{status}, not {right}: {text[:200]!r}"
    verdict = json.loads(text)
    if verdict["status"] != status:
        return f"the verdict says {verdict['status']} and HTTP {status}"
    if status == 200 and one.encoding is None and one.wire.strip() not in text:  # noqa: PLR2004
        return "the payload is not the body as sent"
    return None


def _run(seed: int, count: int) -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        services(Path(folder)) as variables,
        serving({**variables, "MAX_BODY_BYTES": str(LIMIT), "LOG_LEVEL": "WARNING"}) as server,
    ):
        return _report(server, seed, count)


def _report(server: Server, seed: int, count: int) -> int:
    tally = Tally()
    part = max(count // 10, 1)
    began, memory = time.monotonic(), []
    for start in range(0, count, part):
        numbers = range(start, min(start + part, count))
        asyncio.run(send(server.url, seed, numbers, tally))
        memory.append(server.rss())
        sys.stdout.write(
            f"{numbers[-1] + 1:8,} sent, {time.monotonic() - began:6.1f} s, server at"
            f" {memory[-1] / 1e6:.1f} MB, {dict(sorted(tally.statuses.items()))},"
            f" slowest {tally.slowest:.2f} s, faults {len(tally.faults)}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(
        f"memory after the first tenth {memory[0] / 1e6:.1f} MB, at the end"
        f" {memory[-1] / 1e6:.1f} MB\n"
    )
    return 1 if tally.faults else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="show this one and what it should be answered")
    options = parser.parse_args()
    if options.only is None:
        return _run(options.seed, options.count)
    one = hostile(options.seed, options.only)
    sys.stdout.write(f"{one!r}\nexpected: {sorted(expected(one))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
