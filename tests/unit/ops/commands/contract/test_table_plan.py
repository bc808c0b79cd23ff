from typing import Any

import pytest

from ops.commands.contract.live_table import LiveColumn, LiveTable
from ops.commands.contract.table_plan import TablePlan, plan_table
from schema.contracts import create_contract_table
from tests.support.contracts import column, contract
from tests.support.judge.analysis import Analyzer

ID = LiveColumn("id", "INT64", required=True, description="")
ITEM = LiveColumn("item", "STRING", required=False, description="")
KNOWN = {"p.d.orders": {"id": "INT64"}}


def orders(*columns: dict[str, Any], **custom: Any) -> Any:
    return contract("orders", *columns, custom={"mode": "freeze", **custom})


def own(name: str = "id", physical: str = "INTEGER", **fields: Any) -> dict[str, Any]:
    return column(name, physical, **fields)


def plan(wanted: Any, *live: LiveColumn, **table: Any) -> TablePlan:
    found = plan_table("p.d", wanted, LiveTable(live, **table))
    analyzer = Analyzer(KNOWN)
    for statement in found.statements:
        assert analyzer.analyze(statement, {}) == ["alter_table"]
    return found


def test_a_missing_table_is_created_with_all_that_the_contract_says() -> None:
    wanted = orders(own(primaryKey=True))
    assert plan_table("p.d", wanted, None).statements == (create_contract_table("p.d", wanted),)


def test_a_table_that_is_as_its_contract_says_needs_nothing() -> None:
    wanted = orders(
        own("ID", primaryKey=True),
        own("item", "TEXT"),
        own("at", "TIMESTAMP", partitioned=True),
        clustering=["item"], labels={"a": "b"}, partitionExpirationDays=9,
    )  # fmt: skip
    at = LiveColumn("at", "TIMESTAMP", required=False, description="set by hand")
    found = plan(
        wanted, ID, ITEM, at, partition=("at", "DAY"), expiration_days=9.0,
        clustering=("ITEM",), labels={"a": "b", "own": "c"}, primary_key=("id",), description="x",
    )  # fmt: skip
    assert found == TablePlan("orders")


ADDED = 'ADD COLUMN `item` STRING OPTIONS(description="the"), ADD COLUMN `n` INT64'


@pytest.mark.parametrize(
    ("columns", "custom", "live", "statement"),
    [
        (
            [own(), own("item", "TEXT", description="the"), own("n")],
            {},
            {},
            ADDED,
        ),
        ([own(physical="DECIMAL")], {}, {}, "ALTER COLUMN `id` SET DATA TYPE NUMERIC"),
        (
            [own(description="a number")],
            {},
            {},
            'ALTER COLUMN `id` SET OPTIONS(description="a number")',
        ),
        ([own(primaryKey=True)], {}, {}, "ADD PRIMARY KEY (`id`) NOT ENFORCED"),
        (
            [own()],
            {"labels": {"a": "b"}},
            {"labels": {"a": "x", "z": "y"}},
            'SET OPTIONS(labels=[("a", "b"), ("z", "y")])',
        ),
    ],
)
def test_what_differs_is_altered(
    columns: list[dict[str, Any]], custom: Any, live: Any, statement: str
) -> None:
    at = ID._replace(required=bool(columns[0].get("primaryKey")))
    found = plan(orders(*columns, **custom), at, **live)
    assert found.statements == (f"ALTER TABLE `p.d.orders` {statement}",)
    assert not found.refusals


def test_another_expiration_and_another_key_are_set() -> None:
    wanted = orders(
        own(primaryKey=True), own("at", "DATE", partitioned=True), partitionExpirationDays=7
    )
    at = LiveColumn("at", "DATE", required=False, description="")
    found = plan(wanted, ID, at, partition=("at", "DAY"), primary_key=("at",))
    assert found.statements == (
        "ALTER TABLE `p.d.orders` DROP PRIMARY KEY",
        "ALTER TABLE `p.d.orders` ADD PRIMARY KEY (`id`) NOT ENFORCED",
        "ALTER TABLE `p.d.orders` SET OPTIONS(partition_expiration_days=7)",
    )


@pytest.mark.parametrize("mode", ["evolve", "report"])
def test_a_not_null_column_is_relaxed_where_null_is_accepted(mode: str) -> None:
    found = plan(orders(own(required=True), mode=mode), ID)
    assert found.statements == ("ALTER TABLE `p.d.orders` ALTER COLUMN `id` DROP NOT NULL",)


def test_a_new_required_column_is_refused_with_the_remedy() -> None:
    found = plan(orders(own(required=True), own("item", "TEXT", required=True)), ID)
    assert not found.statements
    (refusal,) = found.refusals
    assert refusal.column == "item"
    assert "make it optional in the contract" in refusal.remedy


def test_a_column_that_bigquery_cannot_make_required_is_a_note() -> None:
    found = plan(orders(own("item", "TEXT", required=True)), ITEM)
    assert found[1:3] == ((), ())
    assert found.notes == ("orders.item stays NULLABLE in BigQuery; the gate refuses NULL",)


@pytest.mark.parametrize(
    ("columns", "custom", "table", "cause", "remedy"),
    [
        ([own(physical="TEXT")], {}, {}, "the table has INT64, the contract STRING", "by CAST"),
        ([own(physical="DOUBLE")], {}, {}, "the contract FLOAT64", "SET DATA TYPE FLOAT64"),
        (
            [own(), own("item", "TEXT"), own("at", "DATE", partitioned=True)],
            {},
            {"partition": ("at", "MONTH")},
            "partition: the table has at by MONTH, the contract at by DAY",
            "COPY",
        ),
        (
            [own(), own("item", "TEXT")],
            {"clustering": ["item"]},
            {},
            "clustering: the table has none, the contract item",
            "bq update --clustering_fields=item p:d.orders",
        ),
    ],
)
def test_what_bigquery_cannot_alter_is_refused_with_the_remedy(
    columns: list[dict[str, Any]], custom: Any, table: Any, cause: str, remedy: str
) -> None:
    at = LiveColumn("at", "DATE", required=False, description="")
    live = [ID._replace(required=False), ITEM, at][: len(columns)]
    (refusal,) = plan(orders(*columns, **custom), *live, **table).refusals
    assert cause in refusal.cause
    assert remedy in refusal.remedy


def test_nothing_is_dropped() -> None:
    live = {"partition": ("item", "DAY"), "clustering": ("item",), "primary_key": ("item",)}
    found = plan(orders(own()), ID._replace(required=False), ITEM, labels={"a": "b"}, **live)
    assert found[1:3] == ((), ())
    assert found.notes == (
        "orders has columns that are not in its contract, and keeps them: item",
        "orders has a primary key that its contract omits: item",
    )
