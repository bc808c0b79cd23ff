import json
from typing import Any

import pytest

from schema import InvalidSchema, loads
from tests.support.payloads import delete, faults, insert, places, transaction, without


def test_faults_are_in_document_order_and_a_missing_key_follows_the_key_before_it() -> None:
    reordered = {
        "zzz": 1,
        "col_values": ["x"],
        "col_types": ["NOPE"],
        "table": "",
        "aaa": 2,
        "operation": "insert",
    }
    assert places(reordered, delete(table="")) == [
        ("0/zzz", "unknown_key"),
        ("0/col_types/0", "column_type"),
        ("0/table", "table_name"),
        ("0/col_names", "required"),
        ("0/aaa", "unknown_key"),
        ("1/table", "table_name"),
    ]
    assert places(without(insert(col_names=[1]), "operation", "table")) == [
        ("0/operation", "required"),
        ("0/table", "required"),
        ("0/col_names/0", "type"),
    ]


def test_the_tenth_fault_comes_after_the_ninth() -> None:
    found = faults(transaction(*[insert(table="")] * 12))
    assert [fault.pointer for fault in found] == [f"/activities/{at}/table" for at in range(12)]


def test_pointers_are_escaped_as_in_rfc_6901() -> None:
    found = faults(transaction(insert(**{"a/b": 1, "m~n": 2, "": 3, "~1": 4, "é": 5, "0": 6})))
    assert [fault.pointer for fault in found] == [
        "/activities/0/" + step for step in ("a~1b", "m~0n", "", "~01", "é", "0")
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        *[("null", None), ("true", True), ("1", 1), ("1.50", 1.5), ('"x"', "x"), ("-1e2", -100.0)],
        *[("[1, 2.5]", [1, 2.5]), ('{"a": [null]}', {"a": [None]}), ("[]", []), ("{}", {})],
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", "18446744073709551616"),
        ("0.12345678901234567890", "0.12345678901234567890"),
        ("1e999999999", "1E+999999999"),
        ("[1e400, 18446744073709551616]", ["1E+400", "18446744073709551616"]),
        (f'"{"x" * 256}"', "x" * 256),
        (f'"{"x" * 257}"', "x" * 256 + "…"),
        ("9" * 300, "9" * 256 + "…"),
        (json.dumps(["x" * 300]), "a list with 1 element"),
        (json.dumps(list(range(300))), "a list with 300 elements"),
        (json.dumps([[[1] * 100] * 100] * 100), "a list with 100 elements"),
        (json.dumps({"k" * 300: 1}), "an object with 1 key"),
        (json.dumps({str(key): 1 for key in range(300)}), "an object with 300 keys"),
    ],
)
def test_a_fault_contains_the_value_shortened(text: str, got: Any) -> None:
    [fault] = faults(transaction(insert(unknown=loads(text.encode()))))
    assert (fault.got, type(fault.got)) == (got, type(got))
    json.dumps(fault.got, allow_nan=False)


def test_got_is_null_for_a_missing_key_and_the_value_itself_otherwise() -> None:
    found = faults(transaction(without(insert(col_values=["one"]), "table")))
    assert [(fault.rule, fault.got) for fault in found] == [("required", None), ("value", "one")]
    assert str(InvalidSchema(found)).startswith("/activities/0/table: the key table is missing")


def test_messages_name_the_unknown_field_and_the_duplicate_column() -> None:
    found = faults(transaction(insert(col_names=["id", "ID"], **{"n" * 300: 1})))
    messages = [fault.message for fault in found if fault.rule not in {"length", "value"}]
    assert messages == [
        "duplicate column: `ID` repeats the column at index 0 (names are case-insensitive)",
        f"unknown field `{'n' * 256}…`: remove it",
    ]


def test_100000_faults_are_all_reported_in_order() -> None:
    payload = transaction(insert(**{f"k{at}": at for at in range(50_000)}), *[None] * 50_000)
    found = faults(payload, max_faults=1_000_000)
    assert len(found) == 100_000
    assert found[49_999].pointer == "/activities/0/k49999"
    assert found[-1].pointer == "/activities/50000"
