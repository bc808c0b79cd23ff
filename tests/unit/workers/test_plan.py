import pytest

from schema import Reason, parse_type
from tests.support.deliveries import (
    decoded,
    delete,
    delivery,
    insert,
    number,
    text,
    update,
    upsert,
)
from workers.decode import decode
from workers.plan import MAX_TABLES, Plan, plan
from workers.table_columns import CatalogSnapshot, Column

T = {"a": Column("a", "INT64"), "b": Column("B", "STRING")}


def _reasons(planned: Plan) -> list[Reason]:
    return [rejection.reason for _, rejection in planned.rejected]


@pytest.mark.parametrize(
    ("activity", "reason"),
    [
        (delete("u", a=number(1)), Reason.TABLE_MISSING),
        (delete("t", c=number(1)), Reason.COLUMN_MISSING),
        (delete("t", a=text("1")), Reason.TYPE_CONFLICT),
        (insert("t", a=text("1")), Reason.TYPE_CONFLICT),
        (update("u", {"a": number(1)}, b=text("")), Reason.TABLE_MISSING),
        (update("t", {"c": number(1)}, b=text("")), Reason.COLUMN_MISSING),
        (update("t", {"c": number(1)}, c=number(2)), Reason.COLUMN_MISSING),
        (update("t", {"a": text("1")}, b=text("")), Reason.TYPE_CONFLICT),
        (update("t", {"a": number(1)}, c=number(1), b=number(1)), Reason.TYPE_CONFLICT),
        (upsert("t", "a", a=text("1")), Reason.TYPE_CONFLICT),
        (upsert("t", "c", c=text("1"), b=number(1)), Reason.TYPE_CONFLICT),
        (insert("t", c=number(1), b=number(1)), Reason.TYPE_CONFLICT),
    ],
)
def test_what_cannot_be_applied_is_rejected_with_its_reason_and_makes_nothing(
    activity: dict[str, object], reason: Reason
) -> None:
    planned = plan([decoded(activity)], {"t": T, "u": None})

    assert _reasons(planned) == [reason]
    assert not planned.accepted
    assert not planned.changes_the_catalog


def test_a_fault_in_a_later_activity_takes_back_what_the_earlier_ones_add() -> None:
    refused = decoded(insert("u", a=number(1)), insert("t", c=number(1)), delete("v", a=number(1)))

    planned = plan([refused], {"t": T, "u": None, "v": None})

    assert _reasons(planned) == [Reason.TABLE_MISSING]
    assert not planned.changes_the_catalog


def test_a_rejected_transaction_adds_nothing_for_those_behind_it() -> None:
    refused = decoded(insert("u", a=number(1)), delete("v", a=number(1)))
    behind = decoded(delete("u", a=number(1)))

    planned = plan([refused, behind], {"u": None, "v": None})

    assert _reasons(planned) == [Reason.TABLE_MISSING] * 2


def test_an_accepted_transaction_adds_for_those_behind_it_and_not_for_those_before() -> None:
    before, maker, behind = (
        decoded(delete("u", a=number(1))),
        decoded(insert("u", a=number(1))),
        decoded(delete("u", a=number(1))),
    )

    planned = plan([before, maker, behind], {"u": None})

    assert [each for each, _ in planned.rejected] == [before]
    assert planned.accepted == [maker, behind]
    assert planned.creates == {"u": [("a", parse_type("INTEGER"))]}


def test_a_transaction_sees_its_own_new_table() -> None:
    planned = plan([decoded(insert("u", a=number(1)), delete("u", A=number(1)))], {"u": None})

    assert planned.accepted
    assert list(planned.creates) == ["u"]


def test_its_own_new_table_has_the_types_that_it_gave() -> None:
    planned = plan([decoded(insert("u", a=number(1)), insert("u", a=text("x")))], {"u": None})

    assert _reasons(planned) == [Reason.TYPE_CONFLICT]
    assert not planned.creates


def test_missing_columns_are_added_once_in_the_order_of_their_naming() -> None:
    planned = plan(
        [decoded(insert("t", d=number(1), c=text(""))), decoded(insert("t", D=number(1)))], {"t": T}
    )

    assert planned.adds == {"t": [("d", parse_type("INTEGER")), ("c", parse_type("TEXT"))]}
    assert not planned.creates


def test_a_column_of_a_new_table_that_comes_later_is_part_of_its_creation() -> None:
    planned = plan(
        [decoded(insert("u", a=number(1))), decoded(insert("u", b=text("")))], {"u": None}
    )

    assert [name for name, _ in planned.creates["u"]] == ["a", "b"]
    assert not planned.adds


def test_an_update_adds_what_it_sets_and_an_upsert_makes_its_table() -> None:
    planned = plan(
        [
            decoded(update("t", {"a": number(1)}, c=text(""))),
            decoded(upsert("u", "a", b=text(""), a=number(1))),
            decoded(update("u", {"b": text("")}, c=number(1))),
        ],
        {"t": T, "u": None},
    )

    assert len(planned.accepted) == 3
    assert planned.adds == {"t": [("c", parse_type("TEXT"))]}
    assert [name for name, _ in planned.creates["u"]] == ["b", "a", "c"]


def test_names_are_compared_without_case() -> None:
    planned = plan([decoded(insert("t", A=number(1), b=text("x")))], {"t": T})

    assert planned.accepted
    assert not planned.changes_the_catalog


def test_an_entry_that_is_rejected_already_stays_so_even_if_it_holds_a_transaction() -> None:
    good = decoded(insert("u", a=number(1)))
    bad = decode(delivery(b"{", id="x"))
    assert bad.rejection
    stamped = type(good)(good.delivery, good.message, good.transaction, bad.rejection)

    planned = plan([bad, stamped], {"u": None})

    assert [each for each, _ in planned.rejected] == [bad, stamped]
    assert not planned.accepted
    assert not planned.changes_the_catalog


def test_more_tables_than_a_warehouse_transaction_touches_are_too_large() -> None:
    most = [insert(f"t{i}", a=number(1)) for i in range(MAX_TABLES)]
    catalog: CatalogSnapshot = {f"t{i}": None for i in range(MAX_TABLES + 1)}

    planned = plan([decoded(*most), decoded(*most, insert(f"t{MAX_TABLES}", a=number(1)))], catalog)

    assert len(planned.accepted) == 1
    assert _reasons(planned) == [Reason.TOO_LARGE]


@pytest.mark.parametrize(
    ("column", "declared", "takes"),
    [
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(10,2)", True),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(5,2)", True),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(8)", True),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(9)", False),  # a digit too many before the point
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(10,3)", False),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(11,2)", False),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL", False),
        (Column("a", "NUMERIC"), "DECIMAL(38,9)", True),
        (Column("a", "NUMERIC"), "DECIMAL", True),
        (Column("a", "NUMERIC"), "DECIMAL(38,20)", False),  # BIGNUMERIC
        (Column("a", "BIGNUMERIC"), "DECIMAL(38,20)", True),
        (Column("a", "BIGNUMERIC"), "DECIMAL(5,2)", False),  # NUMERIC
        (Column("a", "NUMERIC", 5, None), "DECIMAL(5)", True),  # the API leaves a scale of 0 out
        (Column("a", "STRING"), "VARCHAR(5)", True),
        (Column("a", "STRING"), "UUID", True),
        (Column("a", "INT64"), "TINYINT", True),
        (Column("a", "FLOAT64"), "INTEGER", False),
        (Column("a", "DATETIME"), "TIMESTAMP", False),
    ],
)
def test_a_column_takes_the_types_whose_every_value_it_holds(
    column: Column, declared: str, *, takes: bool
) -> None:
    assert column.takes(parse_type(declared)) is takes


@pytest.mark.parametrize(
    ("column", "declared", "made"),
    [
        (Column("a", "NUMERIC", 5, None), "DECIMAL(5)", True),
        (Column("a", "NUMERIC", 5, 2), "DECIMAL(5,2)", True),
        (Column("a", "NUMERIC", 10, 2), "DECIMAL(5,2)", False),
        (Column("a", "NUMERIC"), "DECIMAL", True),
        (Column("a", "NUMERIC"), "DECIMAL(38,9)", False),
        (Column("a", "STRING"), "VARCHAR(9)", True),
        (Column("a", "STRING"), "INT", False),
    ],
)
def test_a_column_tells_whether_it_is_just_what_ddl_would_make(
    column: Column, declared: str, *, made: bool
) -> None:
    assert column.made_as(parse_type(declared)) is made
