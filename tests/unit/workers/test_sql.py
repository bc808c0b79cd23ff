import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.runtime.warehouse_errors import FENCED_TEXT
from schema import check_body, parse_type
from tests.support.deliveries import body, delete, insert, number, text
from workers import sql
from workers.fold import fold
from workers.sql import LaneSettlement, Script

NOTHING = LaneSettlement(7, 12, "2026-03-01 11:59:00+00:00", [], [])


def script_of(*activities: dict[str, object], settlement: LaneSettlement = NOTHING) -> Script:
    return sql.script("p.d", fold(check_body(body(*activities)).activities), settlement)


def test_the_script_is_one_transaction_with_the_fence_first_and_the_ledger_last() -> None:
    settlement = NOTHING._replace(ids=["an id"], rows=[["an id", "applied"]])
    script = script_of(insert("t", a=number(1)), delete("u", a=number(1)), settlement=settlement)
    lines = script.sql.splitlines()
    assert lines[0] == "BEGIN TRANSACTION;"
    assert lines[1].startswith("UPDATE `p.d.gatekeeper_lane_07` SET epoch = epoch + 1 WHERE")
    assert "FROM `p.d.gatekeeper_ledger_07` WHERE settled_at >=" in lines[1]
    assert lines[2] == f"ASSERT @@row_count = 1 AS '{FENCED_TEXT}';"
    assert lines[-2].startswith("INSERT INTO `p.d.gatekeeper_ledger_07` (`id`, `state`,")
    assert lines[-1] == "COMMIT TRANSACTION;"
    assert (script.parameters["epoch"], script.parameters["since"]) == ("12", NOTHING.since)
    assert script.parameters["ids"] == '["an id"]'


def test_a_table_of_rejected_transactions_is_named_only_in_a_batch_that_has_some() -> None:
    settlement = NOTHING._replace(rows=[["a", "rejected"]], rejected=[["a", "a hash"]])
    lines = sql.script("p.d", [], settlement).sql.splitlines()
    assert lines[-3].startswith("INSERT INTO `p.d.gatekeeper_rejected_07` (`id`, `sha256`,")
    assert lines[-2].startswith("INSERT INTO `p.d.gatekeeper_ledger_07`")
    assert "gatekeeper_rejected" not in sql.script("p.d", [], NOTHING).sql


TYPED = st.one_of(
    st.text(max_size=30).filter(lambda s: s.isprintable()).map(lambda s: ("TEXT", s)),
    st.integers(10**9, 2**62).map(lambda n: ("INTEGER", n)),
    st.binary(min_size=12, max_size=20).map(lambda b: ("JSON", {b.hex(): b.hex()})),
    st.dates().map(lambda d: ("DATE", d.isoformat())),
)


@given(st.lists(TYPED, min_size=1, max_size=6), st.text(min_size=1, max_size=20))
def test_no_value_reaches_the_sql_text(values: list[tuple[str, object]], id_: str) -> None:
    plain = [(kind, None) for kind, _ in values]
    scripts = [
        script_of(
            *(insert("t", **{f"c{i}": value}) for i, value in enumerate(drawn)),
            *(delete("u", **{f"c{i}": value}) for i, value in enumerate(drawn)),
            settlement=NOTHING._replace(ids=[given_id], rows=[[given_id, None]]),
        )
        for drawn, given_id in ((values, id_), (plain, "x"))
    ]
    # The text is the same whatever the values are, except how a NULL key is compared.
    first, second = (re.sub(r"AS s WHERE .*\);", "…", script.sql) for script in scripts)
    assert first == second


@pytest.mark.parametrize(
    ("activities", "fits"),
    [
        ([insert("t", a=text("x" * 9_000_000))], True),
        ([insert("t", a=text("x" * 9_600_000))], False),
        ([insert("t", a=text("ж" * 1_000_000))], True),
        ([insert("t", a=text("ж" * 1_700_000))], False),  # six bytes each, as sent
        ([insert("t", **{f"c{i}" + "x" * 290: number(i) for i in range(3_000)})], False),
    ],
)
def test_a_script_above_a_limit_of_bigquery_is_in_excess(
    activities: list[dict[str, object]], *, fits: bool
) -> None:
    assert (script_of(*activities).excess <= 1) is fits


def test_ddl_names_every_column_with_its_type() -> None:
    columns = [("a", parse_type("DECIMAL(10,2)")), ("b", parse_type("VARCHAR(5)"))]
    assert sql.create_table("p.d", "t", columns) == (
        "CREATE TABLE IF NOT EXISTS `p.d.t` (`a` NUMERIC(10,2), `b` STRING)"
    )
    assert sql.add_columns("p.d", "t", columns) == (
        "ALTER TABLE `p.d.t` ADD COLUMN IF NOT EXISTS `a` NUMERIC(10,2), "
        "ADD COLUMN IF NOT EXISTS `b` STRING"
    )


def test_a_lane_is_read_with_parameters() -> None:
    query, parameters = sql.read_lane("p.d", 7, ["a'b", "c"], NOTHING.since)
    assert "a'b" not in query
    assert json.loads(parameters["ids"]) == ["a'b", "c"]
