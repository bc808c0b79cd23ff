import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import check_body
from schema.contracts import (
    ContractColumn,
    ContractSet,
    Mode,
    TableContract,
    Transform,
    missing_key,
)

KEY = b"k" * 32
HIDDEN = {"email": Transform.HASH, "card": Transform.LAST4, "note": Transform.DROP}


def contract(table: str = "customers", mode: Mode = Mode.EVOLVE) -> TableContract:
    columns = [
        ContractColumn(name=name, declared="TEXT", transform=transform)
        for name, transform in HIDDEN.items()
    ]
    return TableContract(
        table=table,
        contract="shop",
        id="1",
        version="1.0.0",
        status="active",
        mode=mode,
        columns=(ContractColumn(name="id", declared="INTEGER"), *columns),
        file="shop.yaml",
        line=7,
    )


TRANSFORMS = ContractSet([contract(), contract("orders")], column_key=KEY).transforms


def lists(**columns: Any) -> dict[str, Any]:
    return {
        "col_names": list(columns),
        "col_types": ["INTEGER" if type(each) is int else "TEXT" for each in columns.values()],
        "col_values": list(columns.values()),
    }


def body_of(*activities: dict[str, Any]) -> bytes:
    return json.dumps({"activities": activities}).encode()


def insert(table: str = "customers", **columns: Any) -> dict[str, Any]:
    return {"operation": "insert", "table": table, **lists(**columns)}


def hidden(*activities: dict[str, Any]) -> list[dict[str, Any]]:
    body = body_of(*activities)
    assert TRANSFORMS.violations(check_body(body)) == []
    found = TRANSFORMS.apply(body)
    check_body(found)
    assert found == TRANSFORMS.apply(body)
    applied: list[dict[str, Any]] = json.loads(found)["activities"]
    return applied


def values(activity: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(activity["col_names"], activity["col_values"], strict=True))


def test_an_insert_has_no_value_that_must_not_be_seen() -> None:
    secret = {"email": "ann@example.com", "card": "4111111111111234", "note": "her birthday"}
    body = TRANSFORMS.apply(body_of(insert(id=1, **secret)))
    assert not any(each.encode() in body for each in secret.values())
    [found] = json.loads(body)["activities"]
    assert found["col_names"] == ["id", "email", "card"]
    assert found["col_types"] == ["INTEGER", "STRING", "STRING"]
    assert found["col_values"][2] == "************1234"
    assert len(found["col_values"][1]) == 64


def test_equal_values_stay_equal_in_all_operations_and_tables() -> None:
    given_lists = lists(email="a@b")
    insert_, delete, update, upsert, other = hidden(
        insert(id=1, email="a@b"),
        {"operation": "delete", "table": "customers", "value_to_delete": given_lists},
        {
            "operation": "update",
            "table": "customers",
            "value_to_match": given_lists,
            **lists(id=2, EMAIL="a@b"),
        },
        {"operation": "upsert", "table": "customers", "key": ["email"], **given_lists},
        insert("orders", email="a@b"),
    )
    digest = values(insert_)["email"]
    assert values(delete["value_to_delete"]) == {"email": digest}
    assert values(update["value_to_match"]) == {"email": digest}
    assert values(update)["EMAIL"] == digest
    assert values(upsert) == values(other) == {"email": digest}
    assert upsert["key"] == ["email"]
    [another] = hidden(insert(email="a@c"))
    assert values(another)["email"] != digest


def test_another_key_and_another_name_give_another_hash() -> None:
    body = body_of(insert(email="a@b"))
    other = ContractSet([contract()], column_key=b"o" * 32).transforms
    assert other.apply(body) != TRANSFORMS.apply(body)


@pytest.mark.parametrize(
    ("card", "shown"), [("12345", "*2345"), ("1234", "****"), ("é", "*"), ("", ""), (None, None)]
)
def test_last4_shows_no_short_text(card: str | None, shown: str | None) -> None:
    [found] = hidden(insert(card=card))
    assert values(found)["card"] == shown


def test_null_stays_null_and_an_empty_text_does_not_show() -> None:
    [found] = hidden(insert(email=None))
    assert values(found)["email"] is None
    [found] = hidden(insert(email=""))
    assert len(values(found)["email"]) == 64


def test_a_short_varchar_has_room_for_a_hash() -> None:
    short = insert(email="a@b")
    short["col_types"] = ["VARCHAR(3)"]
    assert hidden(short)[0]["col_types"] == ["STRING"]


def test_numbers_and_other_tables_stay_as_they_were_written() -> None:
    number = '{"operation":"insert","table":"t","col_names":["a"],"col_types":["DECIMAL(38,2)"],'
    number += '"col_values":[123456789012345678901234567890.10]}'
    secret = json.dumps(insert(email="a@b"))
    body = f'{{"activities": [{number}, {secret}]}}'.encode()
    assert number.encode() in TRANSFORMS.apply(body)


MATCH = {"operation": "update", "table": "customers", **lists(id=1)}


@pytest.mark.parametrize(
    ("activity", "pointer"),
    [
        (insert(id=1, email=5), "/activities/0/col_types/1"),
        (insert(note="a"), "/activities/0/col_names"),
        (
            {"operation": "delete", "table": "customers", "value_to_delete": lists(note="a")},
            "/activities/0/value_to_delete/col_names/0",
        ),
        (
            {"operation": "delete", "table": "customers", "value_to_delete": lists(id=1, card="a")},
            "/activities/0/value_to_delete/col_names/1",
        ),
        ({**MATCH, "value_to_match": lists(note="a")}, "/activities/0/value_to_match/col_names/0"),
        ({**MATCH, "value_to_match": lists(email=1)}, "/activities/0/value_to_match/col_types/0"),
        (
            {"operation": "upsert", "table": "customers", "key": ["card"], **lists(id=1, card="a")},
            "/activities/0/key/0",
        ),
    ],
)
def test_what_cannot_be_hidden_is_refused_in_every_mode(
    activity: dict[str, Any], pointer: str
) -> None:
    [found] = TRANSFORMS.violations(check_body(body_of(activity)))
    assert (found.pointer, found.rule, found.refused) == (pointer, "contract_transform", True)
    assert found.value is None
    assert "contract shop 1.0.0" in found.message


def test_a_transaction_on_other_tables_is_not_concerned() -> None:
    assert not TRANSFORMS.concern(check_body(body_of(insert("t", email="a"))))
    assert TRANSFORMS.concern(check_body(body_of(insert("t", a="b"), insert(email="a"))))


def test_a_hash_without_a_key_is_a_fault_with_file_line_and_field() -> None:
    [fault] = missing_key([contract()])
    assert str(fault).startswith("shop.yaml:7: customers.email: ")
    assert "COLUMN_KEY_FILE" in str(fault)


@given(st.text(st.characters(codec="utf-8"), min_size=5, max_size=40))
def test_no_text_is_seen_whatever_it_is(text: str) -> None:
    body = body_of(insert(id=1, email=text, card=text))
    if TRANSFORMS.violations(check_body(body)):
        return
    [found] = json.loads(TRANSFORMS.apply(body))["activities"]
    assert text not in {*found["col_values"]} or set(text[:-4]) == {"*"}
