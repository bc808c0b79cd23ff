import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.strict_json import MAX_DEPTH, InvalidJSON, loads


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", None),
        (b" [true, false] ", [True, False]),
        (b"1", 1),
        (b"-0", 0),
        (b"9223372036854775808", 2**63),
        (b"1.10", Decimal("1.10")),
        (b"1e2", Decimal("1e2")),
        (b"0.1234567890123456789012345678901234567890", None),
        ('"caf\u00e9 \U0001f600"'.encode(), "caf\u00e9 \U0001f600"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\uD83D\uDE00 \ud83d\ude00"', "\U0001f600 \U0001f600"),
        (rb'"\\ud800"', r"\ud800"),
        (rb'"\\\\ud800 \\udc00"', r"\\ud800 \udc00"),
        (rb'{"a": {"a": 1}, "b": {"a": 2}}', {"a": {"a": 1}, "b": {"a": 2}}),
    ],
)
def test_a_value_is_read_as_it_is(body: bytes, value: Any) -> None:
    assert loads(body) == (Decimal(body.decode()) if b"0.1234" in body else value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"   ", "line 1, column 4"),
        (b"not json", "line 1, column 1"),
        (b'{"a": 1,}', "line 1"),
        (b'\n{"a" 1}', "line 2, column 6"),
        (b"1 2", "Extra data"),
        (b"[1", "line 1"),
        (b"01", "Extra data"),
        (b"1.", "line 1"),
        (b".5", "line 1"),
        (b"+1", "line 1"),
        (b"'a'", "line 1"),
        (b'"a\nb"', "control character"),
        (b'"\\x"', "escape"),
        (b'"\\u12"', "escape"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "-Infinity"),
        (b'{"a": 1, "a": 1}', 'the key "a" is twice'),
        (b'[{"x": {"k": 1, "l": 2, "k": 3}}]', 'the key "k" is twice'),
        (b'{"a": 1, "\\u0061": 2}', 'the key "a" is twice'),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('"\u00e9"'.encode("latin-1"), "not UTF-8 at byte 1"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),
        (rb'"\ud800"', r"\ud800 at character 1"),
        (rb'"\uDBFF"', "surrogate"),
        (rb'"\udc00\ud800"', "surrogate"),
        (rb'"\ud800\u0041"', "surrogate"),
        (rb'"\ud800\\udc00"', "surrogate"),
        (rb'"\\\ud800"', "surrogate"),
        (rb'{"\ud800": 1}', "surrogate"),
        (rb'{"\ud800": 1, "\ud800": 2}', "is twice"),
        (b"1" * 5000, "too many digits"),
        (b"-" + b"1" * 5000, "too many digits"),
        (b"1e9999999999999999999999", "exponent"),
        (b"1e-9999999999999999999999", "exponent"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(body: bytes, said: str) -> None:
    with pytest.raises(InvalidJSON, match=r".") as caught:
        loads(body)
    message = str(caught.value)
    assert said in message
    message.encode()  # no surrogate travels on in it


def nested(depth: int) -> bytes:
    pairs = [(b"[", b"]") if level % 2 else (b'{"k":', b"}") for level in range(depth)]
    opening = b"".join(pair[0] for pair in pairs)
    return opening + b"1" + b"".join(pair[1] for pair in reversed(pairs))


def test_the_deepest_nesting_is_read_and_one_level_more_is_not() -> None:
    assert loads(nested(MAX_DEPTH))
    with pytest.raises(InvalidJSON, match="deeper than 64"):
        loads(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("depth", [1_000, 100_000, 1_000_000])
def test_absurd_nesting_is_refused(depth: int) -> None:
    with pytest.raises(InvalidJSON):
        loads(b"[" * depth)
    with pytest.raises(InvalidJSON, match="deeper"):
        loads(b"[" * depth + b"]" * depth)


def test_a_wide_body_is_not_a_deep_one() -> None:
    assert len(loads(b"[" + b",".join([b"[{}]"] * 10_000) + b"]")) == 10_000


def test_brackets_and_quotes_within_strings_do_not_nest() -> None:
    text = ["[" * 500, '{"' * 500, '\\"[', "]}", 'a\\"'] * 20
    assert loads(json.dumps(text).encode()) == text


@given(st.binary())
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(InvalidJSON):
        loads(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=values, ascii_only=st.booleans())
def test_what_json_writes_is_read_back(*, value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
