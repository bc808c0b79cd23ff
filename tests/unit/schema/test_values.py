import contextlib
import json
import math
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.strict_json import InvalidJSON, loads
from schema.types import canonical, parse_type
from schema.values import BadValue

# The JSON text of a value, and its canonical text.
GOOD: dict[str, list[tuple[str, str]]] = {
    "TEXT": [
        ('""', ""),
        ('"x"', "x"),
        ('" \\u0041\\n"', " A\n"),
        ('"null"', "null"),
        ('"é😀"', "é😀"),
    ],
    "UUID": [('"6F9619FF-8B86-D011-B42D-00C04FC964FF"', "6F9619FF-8B86-D011-B42D-00C04FC964FF")],
    "VARCHAR(3)": [('"abc"', "abc"), ('"é😀x"', "é😀x"), ('""', "")],
    "CHAR(2)": [('"a "', "a "), ('"a"', "a")],
    "INTEGER": [
        *[("0", "0"), ("-0", "0"), ("-7", "-7")],
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
    ],
    "FLOAT": [
        *[("0", "0.0"), ("-0.0", "0.0"), ("1", "1.0"), ("1.50", "1.5"), ("15e-1", "1.5")],
        *[
            ("0.1", "0.1"),
            ("1e22", "1e+22"),
            ("10000000000000000000000", "1e+22"),
            ("-2.5", "-2.5"),
        ],
        *[("1.7976931348623157e308", "1.7976931348623157e+308"), ("5e-324", "5e-324")],
        *[("9007199254740992", "9007199254740992.0"), ("0e999999999", "0.0"), ("0.00", "0.0")],
        *[("0.1234567890123456789", "0.12345678901234568"), ("1" + "0" * 22, "1e+22")],
    ],
    "BOOL": [("true", "true"), ("false", "false")],
    "DECIMAL": [
        *[("0", "0"), ("-0", "0"), ("-0.00", "0"), ('"-0"', "0"), ("1", "1"), ("1.50", "1.5")],
        *[("1e2", "100"), ("12e-1", "1.2"), ('"1.230"', "1.23"), ('"+5"', "5"), ('"007"', "7")],
        *[('".5"', "0.5"), ('"5."', "5"), ('"1E+2"', "100"), ('"-1.5e-3"', "-0.0015")],
        *[("0e999999999", "0"), ("0e-999999999", "0"), ("1.000000000000000000", "1")],
        ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
        ('"-99999999999999999999999999999.999999999"', "-99999999999999999999999999999.999999999"),
        ("0.000000001", "0.000000001"),
    ],
    "DECIMAL(5,2)": [("999.99", "999.99"), ("-999.99", "-999.99"), ("1.100", "1.1"), ("12", "12")],
    "DECIMAL(2,2)": [("0.99", "0.99"), ("-0.1", "-0.1"), ("0", "0")],
    "DECIMAL(3)": [("999", "999"), ("999.0", "999"), ("99e1", "990")],
    "DECIMAL(76,38)": [
        (f'"{"9" * 38}.{"9" * 38}"', f"{'9' * 38}.{'9' * 38}"),
        ("1e37", "1" + "0" * 37),
        ("1e-38", "0." + "0" * 37 + "1"),
    ],
    "DATE": [('"2020-02-29"', "2020-02-29"), ('"0001-01-01"', "0001-01-01")],
    "TIME": [
        *[('"11:58"', "11:58:00"), ('"11:58:28"', "11:58:28"), ('"00:00:00.0"', "00:00:00")],
        *[('"23:59:59.9"', "23:59:59.900000"), ('"11:58:28.1234560000"', "11:58:28.123456")],
    ],
    "DATETIME": [
        ('"2018-03-27 11:58:28.988414"', "2018-03-27 11:58:28.988414"),
        ('"2018-03-27T11:58:28.5"', "2018-03-27 11:58:28.500000"),
        ('"2018-03-27t11:58"', "2018-03-27 11:58:00"),
        ('"2018-03-27"', "2018-03-27 00:00:00"),
        ('"0001-01-01 00:00:00"', "0001-01-01 00:00:00"),
    ],
    "TIMESTAMP": [
        ('"2018-03-27 11:58:28.988414"', "2018-03-27 11:58:28.988414+00:00"),
        ('"2018-03-27T11:58:28Z"', "2018-03-27 11:58:28+00:00"),
        ('"2018-03-27t11:58:28z"', "2018-03-27 11:58:28+00:00"),
        ('"2018-03-27 11:58:28+02"', "2018-03-27 09:58:28+00:00"),
        ('"2018-03-27 11:58:28.5-0530"', "2018-03-27 17:28:28.500000+00:00"),
        ('"2018-03-27 23:58-05:30"', "2018-03-28 05:28:00+00:00"),
        ('"2018-03-27 11:58:28-00:00"', "2018-03-27 11:58:28+00:00"),
        ('"2018-03-27"', "2018-03-27 00:00:00+00:00"),
        ('"0001-01-01T00:00:00-23:59"', "0001-01-01 23:59:00+00:00"),
        ('"9999-12-31 23:59:59.999999"', "9999-12-31 23:59:59.999999+00:00"),
    ],
    "JSON": [
        *[("1", "1"), ("1.0", "1.0"), ("1.50", "1.5"), ("1e2", "100.0"), ('"x"', '"x"')],
        *[("true", "true"), ("[]", "[]"), ("{}", "{}"), ("[null]", "[null]"), ('"é"', '"é"')],
        ('{"b": 1, "a": {"d": [1, 2.5], "c": null}}', '{"a":{"c":null,"d":[1,2.5]},"b":1}'),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0.1", "0.1"),
        ('"\\u0000\\n"', '"\\u0000\\n"'),
    ],
    "BYTES": [('""', ""), ('"AAE="', "AAE="), ('"/+8="', "/+8="), ('"QR=="', "QQ==")],
    "BINARY(2)": [('"AAE="', "AAE="), ('"AA=="', "AA==")],
}
NOT_STRINGS = ["1", "1.5", "true", "[]", "{}"]
BAD: dict[str, list[str]] = {
    "TEXT": NOT_STRINGS,
    "VARCHAR(3)": ['"abcd"', '"😀😀😀😀"', *NOT_STRINGS],
    "CHAR(2)": ['"abc"', '"a  "'],
    "INTEGER": [
        *["9223372036854775808", "-9223372036854775809", "1" * 4000, "1.0", "1e2", "0.5", "-0.0"],
        *['"1"', "true", "false", "[]", "{}", '""'],
    ],
    "FLOAT": [
        *["1e309", "-1e309", "1e999999999", "1e-400", "1e-999999999", "9007199254740993"],
        *["1" + "0" * 4000, '"1.5"', '"NaN"', "true", "[]", "{}"],
    ],
    "BOOL": ["0", "1", '"true"', '""', "[]", "{}", "1.0"],
    "DECIMAL": [
        *["1e29", "1e-10", "1e999999999", "-1e999999999", "1e-999999999", "0.0000000001"],
        *['"1e999999999"', '"1e-999999999"', '"1e99999999999999999999999"', "1" + "0" * 4000],
        *['""', '" 1"', '"1 "', '"1,5"', '"1_000"', '"NaN"', '"Infinity"', '"sNaN"', '"0x1"'],
        *['"."', '"e5"', '"1e"', '"--1"', '"1\\n"', '"\u0661"', "true", "[]", "{}", '"1.5.1"'],
    ],
    "DECIMAL(5,2)": ["1000", "-1000", "999.999", '"1234.567"', "0.001", "1e3"],
    "DECIMAL(2,2)": ["1", "-1.0", "0.001"],
    "DECIMAL(3)": ["0.5", "1000"],
    "DECIMAL(76,38)": ["1e38", "1e-39", f"0.{'1' * 39}"],
    "DATE": [
        *['"2020-02-30"', '"2019-02-29"', '"0000-01-01"', '"2020-13-01"', '"2020-00-01"'],
        *['"20200101"', '"2020-1-1"', '"2020-W01-1"', '"2020-001"', '"2020-01"', '""', '"today"'],
        *['"2020-01-01T00:00"', '" 2020-01-01"', '"2020-01-01\\n"', '"12020-01-01"'],
        *['"\u0662020-01-01"', *NOT_STRINGS],
    ],
    "TIME": [
        *['"24:00"', '"11:60"', '"11:58:60"', '"11"', '"1:58"', '"115828"', '"T11:58"', '""'],
        *['"11:58:28Z"', '"11:58:28+00:00"', '"11:58:28."', '"11:58:28,5"', '"11:58:28\\n"'],
        *['"11:58:28.1234567"', '"11:58.5"', *NOT_STRINGS],
    ],
    "DATETIME": [
        *['"2018-03-27 11:58:28Z"', '"2018-03-27 11:58:28+00:00"', '"2018-02-29 11:58"', '""'],
        *['"2018-03-27 24:00"', '"2018-03-27  11:58"', '"2018-03-27T"', '"2018-03-27 11"'],
        *['"2018-03-27_11:58"', '"2018-03-27 11:58:28.0000001"', '"20180327T115828"', *NOT_STRINGS],
    ],
    "TIMESTAMP": [
        *['"2018-03-27 11:58:28 UTC"', '"2018-03-27 11:58:28 +00:00"', '"2018-03-27Z"', '"now"'],
        *['"2018-03-27 11:58:28+24:00"', '"2018-03-27 11:58:28+05:60"', '"2018-03-27 11:58:28+5"'],
        *['"0001-01-01 00:00:00+01:00"', '"9999-12-31 23:59:59-00:01"', '"0000-12-31T23:00-02"'],
        *['"2018-03-27 11:58:60Z"', '"2018-03-27 11:58:28.1234567Z"', '"2018-03-27 11:58Z\\n"'],
        *['"2018-03-27 11:58:28+02:00:00"', '"1522151908"', *NOT_STRINGS],
    ],
    "JSON": [
        *["18446744073709551616", "-9223372036854775809", "1e400", "1e-400", "1e999999999"],
        *["0.1234567890123456789", '{"a": [1e400]}', '[{"b": 18446744073709551616}]'],
    ],
    "BYTES": [
        *['"A"', '"AA"', '"AAE"', '"AAE=="', '"A==="', '"AA==AA=="', '"_-8="', '"AA E="', '"="'],
        *['"AAE=\\n"', '"é==="', *NOT_STRINGS],
    ],
    "BINARY(2)": ['"AAEC"'],
}


@pytest.mark.parametrize(
    ("ctype", "text", "expected"),
    [(ctype, text, expected) for ctype, cases in GOOD.items() for text, expected in cases],
)
def test_a_value_that_fits_has_one_canonical_text(ctype: str, text: str, expected: str) -> None:
    assert canonical(loads(text.encode()), parse_type(ctype)) == expected


@pytest.mark.parametrize(
    ("ctype", "text"), [(ctype, text) for ctype, texts in BAD.items() for text in texts]
)
def test_a_value_that_does_not_fit_is_refused_with_a_reason(ctype: str, text: str) -> None:
    value = loads(text.encode())
    with pytest.raises(BadValue, match=r"\w+ \w+"):
        canonical(value, parse_type(ctype))


@pytest.mark.parametrize(
    ("ctype", "expected"),
    [
        (ctype, expected)
        for ctype in ("TEXT", "DECIMAL", "DECIMAL(5,2)", "DATE", "TIME", "DATETIME", "TIMESTAMP")
        for _, expected in GOOD[ctype]
    ],
)
def test_the_canonical_text_is_its_own_canonical_text(ctype: str, expected: str) -> None:
    assert canonical(expected, parse_type(ctype)) == expected


@pytest.mark.parametrize("ctype", ["DECIMAL", "DECIMAL(76,38)", "FLOAT", "JSON", "INTEGER"])
@pytest.mark.parametrize(
    "text",
    ["1e999999999", "-1e-999999999", "1e999999999999999999", "0." + "1" * 1_000_000],
    ids=["huge", "tiny", "past all", "long"],
)
def test_a_giant_number_is_settled_without_writing_it_out(ctype: str, text: str) -> None:
    body = text.encode()
    tracemalloc.start()
    with contextlib.suppress(BadValue, InvalidJSON):
        canonical(loads(body), parse_type(ctype))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000  # a billion digits would take a gigabyte


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(["NUMERIC", "DECIMAL(76,38)"]),
)
def test_a_decimal_keeps_its_value_or_is_refused(value: Decimal, ctype: str) -> None:
    try:
        text = canonical(value, parse_type(ctype))
    except BadValue:
        return
    assert text is not None
    assert Decimal(text) == value
    assert canonical(str(value), parse_type(ctype)) == text
    assert "E" not in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_written_as_json_comes_back_the_same(value: float) -> None:
    text = canonical(loads(json.dumps(value).encode()), parse_type("FLOAT64"))
    assert text is not None
    assert float(text) == value
    assert canonical(value, parse_type("FLOAT64")) == text


@pytest.mark.parametrize("ctype", ["FLOAT64", "JSON", "DECIMAL"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_never_fits(ctype: str, value: float) -> None:
    with pytest.raises(BadValue):
        canonical(value, parse_type(ctype))


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(documents.filter(lambda value: value is not None))
def test_a_json_document_keeps_its_value_whatever_the_order_of_its_keys(value: Any) -> None:
    ctype = parse_type("JSON")
    text = canonical(loads(json.dumps(value).encode()), ctype)
    assert text is not None
    assert json.loads(text) == value
    assert canonical(loads(json.dumps(value, sort_keys=True, indent=1).encode()), ctype) == text
