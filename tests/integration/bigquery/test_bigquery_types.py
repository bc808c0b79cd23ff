"""Every type of the rule: written, read back and matched through JSON parameters."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.bigquery.conftest import DATASET, Emulator

STAMP = datetime(2018, 3, 27, 11, 58, 28, 988414)  # noqa: DTZ001
J = "JSON_VALUE(r, '$[1]')"
# type → (how it is read, the default that stands for NULL in a match, text → value)
TYPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "STRING": (J, "''", {"": "", "a\x00b": "a\x00b", "é😀'\"\\\n": "é😀'\"\\\n"}),
    "INT64": (
        f"CAST({J} AS INT64)",
        "0",
        {"0": 0, str(2**63 - 1): 2**63 - 1, str(-(2**63)): -(2**63)},
    ),
    "FLOAT64": (
        f"CAST({J} AS FLOAT64)",
        "0e0",
        {"0.1": 0.1, "5e-324": 5e-324, "1.7976931348623157e308": 1.7976931348623157e308},
    ),
    "BOOL": (f"CAST({J} AS BOOL)", "FALSE", {"true": True, "false": False}),
    "NUMERIC(20,5)": (
        f"CAST({J} AS NUMERIC)",
        "NUMERIC '0'",
        {"0": Decimal(0), "123456789012345.12345": Decimal("123456789012345.12345")},
    ),
    "BIGNUMERIC(38,30)": (
        f"CAST({J} AS BIGNUMERIC)",
        "BIGNUMERIC '0'",
        {"0": Decimal(0), "1.123456789012345678901234567891": None},
    ),
    "BIGNUMERIC(38,0)": (
        f"CAST({J} AS BIGNUMERIC)",
        "BIGNUMERIC '0'",
        {"-12345678901234567890123456789012345678": None},
    ),
    "DATE": (
        f"CAST({J} AS DATE)",
        "DATE '0001-01-01'",
        {"0001-01-01": date.min, "9999-12-31": date.max},
    ),
    "TIME": (
        f"CAST({J} AS TIME)",
        "TIME '00:00:00'",
        {"00:00:00": time.min, "23:59:59.999999": time.max},
    ),
    "DATETIME": (
        f"CAST({J} AS DATETIME)",
        "DATETIME '0001-01-01 00:00:00'",
        {"0001-01-01 00:00:00": datetime.min, "2018-03-27 11:58:28.988414": STAMP},  # noqa: DTZ901
    ),
    "TIMESTAMP": (
        f"CAST({J} AS TIMESTAMP)",
        "TIMESTAMP '0001-01-01 00:00:00+00'",
        {
            "2018-03-27 11:58:28.988414+00:00": STAMP.replace(tzinfo=UTC),
            "9999-12-31 23:59:59.999999+00:00": datetime.max.replace(tzinfo=UTC),
        },
    ),
    "JSON": (
        f"PARSE_JSON({J}, wide_number_mode=>'round')",
        "",
        {'{"a":[1,2.5,null,"é"],"b":{}}': {"a": [1, 2.5, None, "é"], "b": {}}, '"s"': "s"},
    ),
    "BYTES": (f"FROM_BASE64({J})", "b''", {"": b"", "AAECgP8=": b"\x00\x01\x02\x80\xff"}),
}


def match(kind: str, default: str) -> str:
    if kind == "JSON":  # it has no equality
        return "IFNULL(TO_JSON_STRING(t.`v`), '') = IFNULL(TO_JSON_STRING(k.c), '')"
    return f"(t.`v` IS NULL) = (k.c IS NULL) AND IFNULL(t.`v`, {default}) = IFNULL(k.c, {default})"


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_written_read_and_matched_exactly(emulator: Emulator, kind: str) -> None:
    read, default, values = TYPES[kind]
    name = f"{DATASET}.type_{''.join(c if c.isalnum() else '_' for c in kind)}"
    rows = [[str(n), text] for n, text in enumerate([*values, None])]
    emulator.run(f"CREATE TABLE `{name}` (n INT64, v {kind})")
    emulator.run(
        "BEGIN TRANSACTION; "
        f"INSERT INTO `{name}` (`n`, `v`) SELECT CAST(JSON_VALUE(r, '$[0]') AS INT64), {read} "
        "FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r; COMMIT TRANSACTION;",
        rows=json.dumps(rows),
    )
    stored = [value for (value,) in emulator.rows(f"SELECT v FROM `{name}` ORDER BY n")]
    if "NUMERIC" in kind:
        assert stored == [*map(Decimal, values), None]
    else:
        for value, wanted in zip(stored, [*values.values(), None], strict=True):
            assert value == wanted
    delete = (
        f"DELETE FROM `{name}` AS t WHERE EXISTS (SELECT 1 FROM (SELECT {read} AS c "
        f"FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r) AS k WHERE {match(kind, default)});"
    )
    # One by one, so that a match of too many rows is visible.
    for row in rows:
        script = f"BEGIN TRANSACTION; {delete} ROLLBACK TRANSACTION;"
        assert emulator.deleted(script, rows=json.dumps([row])) == 1, row
    assert emulator.deleted(
        f"BEGIN TRANSACTION; {delete} COMMIT TRANSACTION;", rows=json.dumps(rows)
    ) == len(rows)
    emulator.run(f"DROP TABLE `{name}`")


# Doubles that PARSE_JSON refuses unless it may round, and the ends of the ranges.
JSON_NUMBERS = [
    *(11.85907, -81.68994, 0.2002386475503002, -0.707176497086, 0.0928069675519494, 0.1, 1.5e-7),
    *(1e21, 7e22, 5e-324, 1.7976931348623157e308, 3.0, -0.0),
    *(9007199254740993, 18446744073709551615, -9223372036854775808, 0),
]


def test_numbers_in_json_are_read_back_as_the_same_doubles(emulator: Emulator) -> None:
    name = f"{DATASET}.json_numbers"
    emulator.run(f"CREATE TABLE `{name}` (n INT64, j JSON)")
    documents = [{"value": value, "all": [value]} for value in JSON_NUMBERS]
    rows = [[str(n), json.dumps(each)] for n, each in enumerate(documents)]
    emulator.run(
        f"INSERT INTO `{name}` (n, j) SELECT CAST({J.replace('[1]', '[0]')} AS INT64), "
        f"PARSE_JSON({J}, wide_number_mode=>'round') FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r",
        rows=json.dumps(rows),
    )
    found = emulator.rows(f"SELECT TO_JSON_STRING(j) FROM `{name}` ORDER BY n")
    assert [json.loads(text) for (text,) in found] == documents
