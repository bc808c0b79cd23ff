"""A live table as a contract, and what a contract cannot say of it."""

from dataclasses import replace
from typing import Any

import pytest

from ops.commands.contract.inferred_contract import as_yaml
from ops.commands.contract.live_inference import infer_from_table
from ops.commands.contract.live_table import LiveColumn, LiveTable
from ops.commands.contract.table_plan import TablePlan, plan_table
from schema.contracts import Partition, TableContract
from schema.odcs import read_contracts


def live_column(name: str, kind: str, *, required: bool = False, description: str = "") -> Any:
    return LiveColumn(name, kind, required, description)


def read_back(table: LiveTable) -> TableContract:
    """Return the contract as its YAML is read, which is the one that was inferred."""
    found = infer_from_table("orders", table)
    (read,) = read_contracts("x.yaml", as_yaml("orders", [found]))
    assert replace(read, file="", line=0) == found.contract
    return found.contract


ORDERS = LiveTable(
    (
        live_column("Id", "INT64", description='The "number"\n of it: #1'),
        live_column("at", "TIMESTAMP"),
        live_column("item", "STRING"),
        live_column("price", "NUMERIC(10,2)"),
        live_column("weight", "BIGNUMERIC(50,30)"),
    ),
    description="Orders of the shop",
    labels={"team": "shop"},
    partition=("at", "MONTH"),
    expiration_days=400.5,
    clustering=("item", "ID"),
    primary_key=("id",),
)


def test_a_contract_has_all_that_it_can_say_of_a_table() -> None:
    contract = read_back(ORDERS)
    assert contract.primary_key == ("Id",)
    assert contract.partition == Partition("at", contract.partition[1], 400.5)  # type: ignore[index]
    assert contract.clustering == ("item", "Id")
    assert contract.labels == {"team": "shop"}
    assert [each.type.bigquery for each in contract.columns] == [e.type for e in ORDERS.columns]
    assert contract.columns[0].description == 'The "number"\n of it: #1'


def test_a_plan_has_nothing_to_do_for_an_inferred_contract() -> None:
    assert plan_table("p.d", read_back(ORDERS), ORDERS) == TablePlan("orders")


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("STRING", "STRING"),
        ("STRING(5)", "VARCHAR(5)"),
        ("BYTES(5)", "VARBINARY(5)"),
        ("NUMERIC(10)", "NUMERIC(10)"),
        ("JSON", "JSON"),
    ],
)
def test_a_columns_type_is_a_source_type(kind: str, declared: str) -> None:
    (column,) = read_back(LiveTable((live_column("a", kind),))).columns
    assert column.declared == declared


@pytest.mark.parametrize(
    "column",
    [
        live_column("b", "GEOGRAPHY"),
        live_column("b", "ARRAY<STRING(5)>"),
        live_column("b", "STRUCT"),
        live_column("b", "BIGNUMERIC"),
        live_column("b", "BIGNUMERIC(10,2)"),
        live_column("größe\nx", "INT64"),
    ],
)
def test_a_column_that_no_transaction_writes_is_left_out_with_a_remark(column: LiveColumn) -> None:
    table = LiveTable(
        (live_column("a", "INT64"), column),
        clustering=("a", column.name),
        primary_key=(column.name,),
        partition=(column.name, "DAY"),
    )
    contract = read_back(table)
    assert [each.name for each in contract.columns] == ["a"]
    assert not contract.clustering
    remarks = [text for _, text in infer_from_table("orders", table).remarks]
    parts = ("the column", "the partition", "the primary key", "the clustering")
    for part, remark in zip(parts, remarks, strict=True):
        assert remark.startswith(f"left out: {part}")


@pytest.mark.parametrize("partition", [("_PARTITIONTIME", "DAY"), ("a", "RANGE")])
def test_a_partition_of_another_kind_is_a_remark(partition: tuple[str, str]) -> None:
    found = infer_from_table("t", LiveTable((live_column("a", "INT64"),), partition=partition))
    assert found.contract.partition is None
    assert found.remarks == [("", f"left out: the partition by {' '.join(partition)}")]


def test_a_label_in_other_letters_is_a_remark() -> None:
    table = LiveTable((live_column("a", "INT64"),), labels={"größe": "x", "team": "shop"})
    assert read_back(table).labels == {"team": "shop"}
    assert infer_from_table("t", table).remarks == [("", "left out: the label größe: x")]


def test_a_not_null_column_is_required_and_has_a_remark() -> None:
    table = LiveTable((live_column("a", "INT64", required=True),))
    assert read_back(table).columns[0].required
    ((column, remark),) = infer_from_table("t", table).remarks
    assert column == "a"
    assert "mode freeze" in remark


CENSUS = (
    live_column("geo_id", "STRING"),
    *(live_column(f"income_{index}_{index + 4_999}", "FLOAT64") for index in range(298)),
    live_column("do_date", "STRING"),
)
"""As the tables of bigquery-public-data.census_bureau_acs: one text, and hundreds of figures."""

SESSIONS = tuple(
    live_column(
        f"c{index}", ("STRING", "INT64", "DATE", "TIMESTAMP", "STRUCT", "ARRAY<INT64>")[index % 6]
    )
    for index in range(300)
)
"""As exports of web analytics: plain columns, records and repeated ones."""


@pytest.mark.parametrize(("columns", "left_out"), [(CENSUS, 0), (SESSIONS, 100)])
def test_a_public_table_of_300_columns(columns: tuple[LiveColumn, ...], left_out: int) -> None:
    table = LiveTable(columns)
    contract = read_back(table)
    assert len(columns) == 300
    assert len(contract.columns) == 300 - left_out
    assert len(infer_from_table("orders", table).remarks) == left_out
    notes = plan_table("p.d", contract, table).notes
    assert plan_table("p.d", contract, table) == TablePlan("orders", notes=notes)
