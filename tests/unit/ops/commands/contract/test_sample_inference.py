"""What sample transactions suggest: columns are stated, the rest is guessed."""

from typing import Any

import pytest

from ops.commands.contract.inferred_contract import Guess, InferredTable
from ops.commands.contract.sample_inference import infer_from_samples
from ops.commands.contract.table_samples import TableSamples, add_transaction
from schema import check
from tests.support.payloads import delete, insert, lists, transaction, update, upsert, without


def inferred(*activities: dict[str, Any]) -> InferredTable:
    tables: dict[str, TableSamples] = {}
    for each in activities:
        payload = transaction(each)
        add_transaction(tables, payload, check(payload))
    (table,) = tables.values()
    return infer_from_samples("t1", table)


def row(*columns: tuple[str, str, Any]) -> dict[str, Any]:
    return insert(**lists(*columns))


def rows(count: int, name: str, kind: str, *values: Any) -> list[dict[str, Any]]:
    """Return inserts that go through the values, again and again."""
    return [row((name, kind, values[index % len(values)])) for index in range(count)]


def guessed(found: InferredTable) -> list[tuple[str, str]]:
    return [(each.column, each.field) for each in found.guesses]


def test_columns_have_the_source_types_sent_and_are_required_where_all_rows_have_a_value() -> None:
    found = inferred(
        row(("Id", "BIGINT", 1), ("item", "varchar ( 9 )", "tea"), ("n", "INT", 1)),
        row(("ID", "BIGINT", 2), ("item", "varchar ( 9 )", None)),
    )
    assert [(each.name, each.declared, each.required) for each in found.contract.columns] == [
        ("Id", "BIGINT", True),
        ("item", "varchar ( 9 )", False),
        ("n", "INT", False),
    ]


def test_a_column_is_not_required_if_an_update_sets_it_to_null() -> None:
    found = inferred(
        row(("a", "INTEGER", 1), ("b", "TEXT", "x")), update(**lists(("b", "TEXT", None)))
    )
    assert [each.required for each in found.contract.columns] == [True, False]


def test_columns_of_updates_and_deletes_are_known_and_not_required() -> None:
    found = inferred(update(), delete(value_to_delete=lists(("c", "DATE", "2024-02-29"))))
    assert [(each.name, each.required) for each in found.contract.columns] == [
        ("a", False),
        ("b", False),
        ("c", False),
    ]


@pytest.mark.parametrize(
    ("sent", "declared"),
    [
        (["VARCHAR(5)", "VARCHAR(9)", "VARCHAR(5)"], "VARCHAR(9)"),
        (["VARCHAR(5)", "TEXT"], "TEXT"),
        (["DECIMAL(5,2)", "DECIMAL(12,4)"], "DECIMAL(12,4)"),
        (["TEXT", "UUID", "UUID"], "UUID"),
    ],
)
def test_a_column_has_the_type_that_takes_all_values(sent: list[str], declared: str) -> None:
    found = inferred(*(row(("a", each, None)) for each in sent))
    assert found.contract.columns[0].declared == declared
    assert not found.remarks


def test_a_conflict_of_types_is_a_remark() -> None:
    found = inferred(row(("a", "INTEGER", 1)), row(("a", "INTEGER", 1)), row(("a", "TEXT", "x")))
    assert found.contract.columns[0].declared == "INTEGER"
    (remark,) = found.remarks
    assert remark == ("a", "also sent as TEXT (1 times), which this type does not take")


def test_the_key_is_guessed_from_what_most_changes_match_on() -> None:
    found = inferred(insert(**lists(("a", "INTEGER", 1), ("b", "TEXT", "x"))), update(), upsert())
    reason = "part of the key: 2 of 2 changes match on it"
    assert found.guesses == (Guess("a", reason, "primaryKey", value=True),)
    assert not found.contract.primary_key


def test_an_upsert_without_a_key_is_a_row_and_no_match() -> None:
    columns = lists(("a", "INTEGER", 1), ("b", "TEXT", "x"))
    found = inferred(without(upsert(**columns), "key"))
    assert [(each.name, each.required) for each in found.contract.columns] == [
        ("a", True),
        ("b", True),
    ]
    assert not found.guesses


def test_a_match_on_a_whole_row_is_no_key() -> None:
    both = lists(("a", "INTEGER", 1), ("b", "TEXT", "x"))
    assert not inferred(insert(**both), delete(value_to_delete=both)).guesses


@pytest.mark.parametrize("column", [("a", "JSON", {}), ("a", "INTEGER", None)])
def test_columns_that_cannot_be_a_key_are_no_guess(column: tuple[str, str, Any]) -> None:
    found = inferred(row(column, ("b", "TEXT", "x")), delete(value_to_delete=lists(column)))
    assert not found.guesses


def test_without_changes_a_unique_column_is_a_guess() -> None:
    assert guessed(inferred(*rows(20, "a", "INTEGER", *range(20)))) == [("a", "primaryKey")]
    assert not inferred(*rows(20, "a", "INTEGER", *range(19))).guesses
    assert not inferred(*rows(19, "a", "INTEGER", *range(19))).guesses
    assert not inferred(*rows(20, "a", "INTEGER", *range(19), None)).guesses
    assert not inferred(*rows(20, "a", "DOUBLE", *map(float, range(20)))).guesses


def test_few_values_in_many_rows_are_a_guess() -> None:
    found = inferred(*rows(20, "a", "TEXT", "paid", "open"))
    rule = {
        "metric": "invalidValues",
        "mustBe": 0,
        "arguments": {"validValues": ["open", "paid"]},
    }
    reason = "only 2 different values in 20 rows"
    assert found.guesses == (Guess("a", reason, "quality", [rule]),)


@pytest.mark.parametrize(
    "samples",
    [
        rows(19, "a", "TEXT", "open"),
        rows(100, "a", "TEXT", *map(str, range(21))),
        rows(30, "a", "TEXT", *map(str, range(7))),
        rows(30, "a", "INTEGER", 1, 2),
        rows(30, "a", "TEXT", "a\u2028b"),
    ],
)
def test_other_values_are_no_enumeration(samples: list[dict[str, Any]]) -> None:
    assert "quality" not in [field for _, field in guessed(inferred(*samples))]


def test_a_date_or_timestamp_of_every_row_may_be_the_partition() -> None:
    day, at = ("d", "DATE", "2024-02-29"), ("t", "TIMESTAMP", "2018-03-27 09:58:28")
    assert guessed(inferred(row(day, at))) == [("d", "partitioned"), ("t", "partitioned")]
    assert guessed(inferred(row(day, at), row(day))) == [("d", "partitioned")]
