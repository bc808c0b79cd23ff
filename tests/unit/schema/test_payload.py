import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import (
    RULES,
    Activity,
    BadValue,
    ColumnValues,
    InvalidJSON,
    InvalidSchema,
    Transaction,
    UnknownType,
    canonical,
    check,
    check_body,
    parse_type,
)
from tests.support.payloads import (
    delete,
    faults,
    insert,
    lists,
    mutated_payload,
    places,
    transaction,
    update,
    upsert,
    valid_payload,
    without,
)


def test_an_accepted_transaction_holds_its_activities_in_canonical_form() -> None:
    body = b"""{"activities": [
      {"operation": "delete", "table": "t2",
       "value_to_delete": {"col_names": ["a", "n"], "col_types": ["int", "text"],
                           "col_values": [1, null]}},
      {"col_values": [1.50, "2018-03-27T11:58:28+02:00"], "col_names": ["d", "at"],
       "col_types": ["decimal (5, 2)", "timestamp"], "table": "t1", "operation": "insert"},
      {"operation": "insert", "table": "t2", "col_names": ["j"], "col_types": ["JSON"],
       "col_values": [{"b": 1, "a": null}]},
      {"operation": "update", "table": "t2",
       "value_to_match": {"col_names": ["n"], "col_types": ["text"], "col_values": [null]},
       "col_names": ["a"], "col_types": ["int"], "col_values": [2]},
      {"operation": "upsert", "table": "t2", "key": ["N", "A"],
       "col_names": ["a", "j", "n"], "col_types": ["int", "json", "text"],
       "col_values": [3, null, "x"]}
    ]}"""
    int64, string = parse_type("INT"), parse_type("TEXT")
    decimal, timestamp = parse_type("DECIMAL(5,2)"), parse_type("TIMESTAMP")
    expected = Transaction(
        (
            Activity("delete", "t2", ("a", "n"), (int64, string), ("1", None)),
            Activity(
                "insert", "t1", ("d", "at"), (decimal, timestamp),
                ("1.5", "2018-03-27 09:58:28+00:00"),
            ),
            Activity("insert", "t2", ("j",), (parse_type("JSON"),), ('{"a":null,"b":1}',)),
            Activity(
                "update", "t2", ("a",), (int64,), ("2",), ColumnValues(("n",), (string,), (None,)),
            ),
            Activity(
                "upsert", "t2", ("a", "j", "n"), (int64, parse_type("JSON"), string),
                ("3", None, "x"), ColumnValues(("n", "a"), (string, int64), ("x", "3")),
            ),
        )
    )  # fmt: skip
    assert check_body(body) == expected
    assert check_body(body).tables == ("t2", "t1")


def test_checking_does_not_change_the_payload() -> None:
    payload = transaction(delete(), insert())
    before = json.dumps(payload)
    check(payload)
    assert json.dumps(payload) == before


def test_a_body_that_is_not_strict_json_raises_invalid_json() -> None:
    with pytest.raises(InvalidJSON):
        check_body(b'{"activities": [], "activities": []}')


@pytest.mark.parametrize("payload", [None, 1, True, "x", [], [{}]])
def test_a_payload_that_is_not_an_object_has_one_fault_at_the_root(payload: Any) -> None:
    [fault] = faults(payload)
    assert (fault.pointer, fault.rule, fault.got) == ("", "type", payload)
    assert "an object is expected" in fault.message


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, [("/activities", "required")]),
        ({"activities": []}, [("/activities", "not_empty")]),
        ({"activities": None}, [("/activities", "type")]),
        ({"activities": {}}, [("/activities", "type")]),
        ({"activities": [None]}, [("/activities/0", "type")]),
        ({"activities": [[]]}, [("/activities/0", "type")]),
        ({"x": 1}, [("/activities", "required"), ("/x", "unknown_key")]),
        ({"x": 1, "activities": [1], "y": 2}, [
            ("/x", "unknown_key"), ("/activities/0", "type"), ("/y", "unknown_key"),
        ]),
    ],
)  # fmt: skip
def test_the_outer_object_is_checked(payload: Any, expected: list[tuple[str, str]]) -> None:
    assert [(fault.pointer, fault.rule) for fault in faults(payload)] == expected


UNKNOWN_OPERATIONS: tuple[Any, ...] = (
    *("Insert", "", "insert ", "insert\n"),
    *(None, 1, True, {}, ["insert"]),
)


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        # keys
        ({}, [("0/operation", "required"), ("0/table", "required")]),
        ({"operation": "insert"}, [
            ("0/table", "required"), ("0/col_names", "required"),
            ("0/col_types", "required"), ("0/col_values", "required"),
        ]),
        ({"operation": "delete"}, [("0/table", "required"), ("0/value_to_delete", "required")]),
        (delete(value_to_delete={}), [
            ("0/value_to_delete/col_names", "required"),
            ("0/value_to_delete/col_types", "required"),
            ("0/value_to_delete/col_values", "required"),
        ]),
        (insert(value_to_delete=lists()), [("0/value_to_delete", "unknown_key")]),
        (delete(col_names=["a"]), [("0/col_names", "unknown_key")]),
        (delete(value_to_delete=lists() | {"table": "t1"}),
         [("0/value_to_delete/table", "unknown_key")]),
        (delete(value_to_delete=None), [("0/value_to_delete", "type")]),
        (delete(value_to_delete=[]), [("0/value_to_delete", "type")]),
        # operation: with an unknown one both shapes are allowed and checked
        *[
            (insert(operation=operation), [("0/operation", "operation")])
            for operation in UNKNOWN_OPERATIONS
        ],
        (without(insert(), "operation"), [("0/operation", "required")]),
        (delete(operation="drop", table=1), [("0/operation", "operation"), ("0/table", "type")]),
        (insert(operation="x", value_to_delete=lists()), [("0/operation", "operation")]),
        ({"operation": "x", "table": "t", "col_values": []},
         [("0/operation", "operation"), ("0/col_values", "not_empty")]),
        (insert(operation="x", col_values=["one"], note=1), [
            ("0/operation", "operation"), ("0/col_values/0", "value"), ("0/note", "unknown_key"),
        ]),
        (delete(operation="x", value_to_delete=lists(("1", "INT", "x"))), [
            ("0/operation", "operation"), ("0/value_to_delete/col_names/0", "column_name"),
            ("0/value_to_delete/col_values/0", "value"),
        ]),
        # update
        ({"operation": "update"}, [
            ("0/table", "required"), ("0/value_to_match", "required"), ("0/col_names", "required"),
            ("0/col_types", "required"), ("0/col_values", "required"),
        ]),
        (update(value_to_match=lists(("a", "INT", "x"))),
         [("0/value_to_match/col_values/0", "value")]),
        (update(value_to_match=lists(("B", "INT", 1))), [("0/col_types/0", "column_type")]),
        (update(value_to_match=lists(("b", "INT", 1), ("c", "NOPE", 1)), col_types=["NOPE"]), [
            ("0/value_to_match/col_types/1", "column_type"), ("0/col_types/0", "column_type"),
        ]),
        (update(key=["b"]), [("0/key", "unknown_key")]),
        # upsert
        (without(upsert(col_values=[1]), "key"), [("0/col_values", "length")]),
        (upsert(key=None), [("0/key", "type")]),
        (upsert(key=[]), [("0/key", "not_empty")]),
        (upsert(key="a"), [("0/key", "type")]),
        (upsert(key=["b", 1, "B", "c", "c", "1", {}]), [
            ("0/key/1", "type"), ("0/key/2", "duplicate_column"), ("0/key/3", "key"),
            ("0/key/4", "duplicate_column"), ("0/key/5", "column_name"), ("0/key/6", "type"),
        ]),
        (upsert(key=["A", "b"], col_values=[None, None]),
         [("0/col_values/0", "key"), ("0/col_values/1", "key")]),
        (upsert(key=["a"], col_values=["x", "y"]), [("0/col_values/0", "value")]),
        (without(upsert(key=["c"]), "col_names"), [("0/col_names", "required")]),
        (upsert(operation="x", key=["c"], value_to_match=lists(("b", "INT", 1))), [
            ("0/operation", "operation"), ("0/key/0", "key"), ("0/col_types/1", "column_type"),
        ]),
        # lists
        (insert(col_names=[]), [("0/col_names", "not_empty")]),
        (insert(col_names=[], col_types=[], col_values=[]), [
            ("0/col_names", "not_empty"), ("0/col_types", "not_empty"),
            ("0/col_values", "not_empty"),
        ]),
        (insert(col_names="a", col_types={}, col_values=1),
         [("0/col_names", "type"), ("0/col_types", "type"), ("0/col_values", "type")]),
        (insert(col_names=["a", "b"]), [("0/col_types", "length"), ("0/col_values", "length")]),
        (insert(col_types=["INT", "INT"]), [("0/col_types", "length")]),
        (insert(col_values=[1, 2]), [("0/col_values", "length")]),
        (without(insert(col_values=[1, 2]), "col_names"),
         [("0/col_names", "required"), ("0/col_values", "length")]),
        (insert(col_names=[], col_values=[1, 2]),
         [("0/col_names", "not_empty"), ("0/col_values", "length")]),
        # elements are checked as far as possible
        (insert(col_types=["INT", "NOPE"], col_values=["x", "y", "z"]), [
            ("0/col_types", "length"), ("0/col_types/1", "column_type"),
            ("0/col_values", "length"), ("0/col_values/0", "value"),
        ]),
        (insert(**lists((1, None, 1), (None, "INT", "x"), ("a", ["INT"], {}))), [
            ("0/col_names/0", "type"), ("0/col_names/1", "type"),
            ("0/col_types/0", "type"), ("0/col_types/2", "type"), ("0/col_values/1", "value"),
        ]),
        # duplicates, the later one; an invalid name is not also a duplicate
        (insert(**lists(*[(name, "INT", 1) for name in ("a", "b", "A", "B", "a")])), [
            ("0/col_names/2", "duplicate_column"), ("0/col_names/3", "duplicate_column"),
            ("0/col_names/4", "duplicate_column"),
        ]),
        (insert(**lists(*[(name, "INT", 1) for name in ("1", "1", "a", 5, "A")])), [
            ("0/col_names/0", "column_name"), ("0/col_names/1", "column_name"),
            ("0/col_names/3", "type"), ("0/col_names/4", "duplicate_column"),
        ]),
    ],
)  # fmt: skip
def test_every_fault_of_an_activity_is_reported(
    activity: Any, expected: list[tuple[str, str]]
) -> None:
    assert places(activity) == expected


@pytest.mark.parametrize(
    "name", ["t", "T1", "a" * 1024, "A_b_9_", "gatekeeper", "Gatekeepers_x", "gatekeepe_r"]
)
def test_a_valid_table_name_is_accepted(name: str) -> None:
    assert check(transaction(insert(table=name))).tables == (name,)


@pytest.mark.parametrize(
    "name",
    [
        *["", "1t", "_t", "t-1", "t 1", "t.u", "a" * 1025, "té", "t\n", "\nt", "t`", "t\0"],
        *["gatekeeper_", "gatekeeper_ledger", "GATEKEEPER_x", "GateKeeper_x", "\u017ft"],
    ],
)
def test_an_invalid_table_name_is_rejected(name: str) -> None:
    assert places(insert(table=name)) == [("0/table", "table_name")]
    assert places(delete(table=name)) == [("0/table", "table_name")]


@pytest.mark.parametrize("name", ["a", "_a", "A" * 300, "_", "_9", "_rowtimestamp", "gatekeeper_x"])
def test_a_valid_column_name_is_accepted(name: str) -> None:
    assert check(transaction(insert(col_names=[name]))).activities[0].names == (name,)


@pytest.mark.parametrize(
    "name",
    [
        *["", "9a", "a" * 301, "a-b", "a b", "a.b", "a\n", "é", "a`", "\u212a"],
        *["_TABLE_SUFFIX", "_table_x", "_FILE_NAME", "_PARTITIONTIME", "_partitiondate"],
        *["_ROW_TIMESTAMP", "__ROOT__", "__root__x", "_COLIDENTIFIER", "_ColIdentifier_1"],
        *["_CHANGE_TYPE", "_CHANGE_SEQUENCE_NUMBER", "_change_timestamp"],
    ],
)
def test_an_invalid_column_name_is_rejected(name: str) -> None:
    assert places(insert(col_names=[name])) == [("0/col_names/0", "column_name")]


def check_columns(held: dict[str, Any]) -> None:
    columns = ("col_names", "col_types", "col_values")
    assert all(isinstance(held[key], list) for key in columns)
    sizes = {len(held[key]) for key in columns}
    assert len(sizes) == 1
    assert sizes != {0}
    for name in held["col_names"]:
        assert re.match(r"^[A-Za-z_][A-Za-z0-9_]{0,299}\Z", name)
        assert not re.match("_table_|_file_|_partition|__root__", name.lower())
    assert len({name.lower() for name in held["col_names"]}) in sizes
    for source, value in zip(held["col_types"], held["col_values"], strict=True):
        canonical(value, parse_type(source))


def is_valid(payload: Any) -> bool:
    """Check the schema rule again, in the simplest way."""
    try:
        assert set(payload) == {"activities"}
        assert isinstance(payload["activities"], list)
        assert payload["activities"]
        for activity in payload["activities"]:
            columns = {"col_names", "col_types", "col_values"}
            more = {
                "insert": columns,
                "delete": {"value_to_delete"},
                "update": {"value_to_match", *columns},
                "upsert": {"key", *columns} & activity.keys() | columns,
            }
            assert set(activity) == {"operation", "table", *more[activity["operation"]]}
            nested = activity.get("value_to_delete", activity.get("value_to_match"))
            assert nested is None or set(nested) == columns
            every = [held for held in (nested, activity) if held and "col_names" in held]
            assert re.match(r"^[A-Za-z][A-Za-z0-9_]{0,1023}\Z", activity["table"])
            assert not activity["table"].lower().startswith("gatekeeper_")
            for held in every:
                check_columns(held)
            if "key" in more[activity["operation"]]:
                names = [name.lower() for name in activity["col_names"]]
                assert isinstance(activity["key"], list)
                keys = [name.lower() for name in activity["key"]]
                assert 0 < len(keys) == len(set(keys))
                values = dict(zip(names, activity["col_values"], strict=True))
                assert all(values[name] is not None for name in keys)
            types = [
                {name.lower(): parse_type(kind).base for name, kind in zip(*pair, strict=True)}
                for pair in ((held["col_names"], held["col_types"]) for held in every)
            ]
            assert all(types[0][name] == types[-1][name] for name in types[0].keys() & types[-1])
    except (AssertionError, TypeError, KeyError, AttributeError, BadValue, UnknownType):
        return False
    return True


def resolve(payload: Any, pointer: str) -> Any:
    """Follow a pointer, each step in turn; KeyError where the last step is missing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        payload = payload[int(name)] if isinstance(payload, list) else payload[name]
    return payload


@given(valid_payload)
def test_a_valid_payload_is_accepted(payload: Any) -> None:
    assert is_valid(payload)
    accepted = check(payload)
    assert [held.operation for held in accepted.activities] == [
        held["operation"] for held in payload["activities"]
    ]


@settings(max_examples=400)
@given(mutated_payload())
def test_a_payload_is_accepted_exactly_when_it_is_valid(payload: Any) -> None:
    if is_valid(payload):
        for held in check(payload).activities:
            assert len(held.names) == len(held.types) == len(held.values) > 0
        return
    found = faults(payload)
    pointers = [fault.pointer for fault in found]
    assert len(set(pointers)) == len(pointers) > 0
    for fault in found:
        assert fault.rule in RULES
        assert fault.message
        json.dumps(fault.got, allow_nan=False)
        if fault.rule == "required":
            with pytest.raises(KeyError):
                resolve(payload, fault.pointer)
        else:
            resolve(payload, fault.pointer)


@given(mutated_payload(), st.integers(1, 8))
def test_a_check_that_stops_reports_some_of_the_faults_and_accepts_the_same(
    payload: Any, max_faults: int
) -> None:
    every, some = (_places(payload, limit) for limit in (1_000, max_faults))
    assert some <= every
    assert len(some) >= min(max_faults, len(every))


def _places(payload: Any, max_faults: int) -> set[tuple[str, str]]:
    try:
        check(payload, max_faults)
    except InvalidSchema as invalid:
        return {(fault.pointer, fault.rule) for fault in invalid.faults}
    return set()


@pytest.mark.parametrize("place", ["col_names", "col_types", "col_values"])
def test_no_list_contributes_more_than_the_limit(place: str) -> None:
    payload = transaction(insert(**{place: [[]] * 10_000}), *[{}] * 10_000)
    assert 10 <= len(faults(payload, max_faults=10)) < 60
    unknown = transaction(insert(**{f"k{number}": 1 for number in range(10_000)}))
    assert 10 <= len(faults(unknown, max_faults=10)) < 60
    assert 10 <= len(faults({f"k{number}": 1 for number in range(10_000)}, max_faults=10)) < 60


def test_an_unknown_key_that_is_too_long_to_show_is_not_in_the_pointer() -> None:
    (fault,) = faults(transaction(insert(**{"é" * 10_000: 1})))
    assert (fault.pointer, fault.rule) == ("/activities/0", "unknown_key")
    assert len(fault.message) < 300
