import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import check_body, parse_type
from tests.support.deliveries import body, delete, insert, number, text
from workers import sql
from workers.errors import SETTLED_TEXT
from workers.fold import fold
from workers.sql import Script, Settlement

NOTHING = Settlement([], [], [])


def _script(*activities: dict[str, object], settlement: Settlement = NOTHING) -> Script:
    return sql.script("p.d", fold(check_body(body(*activities)).activities), settlement)


def test_a_thousand_deletes_and_inserts_on_a_table_are_two_data_statements() -> None:
    pairs = [
        activity
        for i in range(1000)
        for activity in (delete("t", a=number(i)), insert("t", a=number(i), b=text("x")))
    ]

    script = _script(*pairs)

    assert script.statements == 2
    assert script.sql.count("DELETE FROM") == 1
    assert script.sql.count("INSERT INTO") == 2  # the rows and the ledger's
    deleted, inserted = (json.loads(rows) for rows in _rows_of(script))
    assert len(deleted) == len(inserted) == 1000


def test_the_script_is_one_transaction_guard_first_then_deletes_inserts_and_the_ledger() -> None:
    script = _script(insert("t", a=number(1)), delete("u", a=number(1)), delete("t", a=number(2)))

    assert [line.split(" ")[0] for line in script.sql.splitlines()] == [
        "BEGIN",
        "ASSERT",
        "DELETE",
        "DELETE",
        "INSERT",
        "INSERT",
        "COMMIT",
    ]
    assert SETTLED_TEXT in script.sql.splitlines()[1]


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
        _script(
            *(insert("t", **{f"c{i}": value}) for i, value in enumerate(drawn)),
            *(delete("u", **{f"c{i}": value}) for i, value in enumerate(drawn)),
            settlement=Settlement([given_id], [f"{given_id} h"], [[given_id, None]]),
        )
        for drawn, given_id in ((values, id_), (plain, "x"))
    ]

    # The text is the same whatever the values are, but for how a key that is NULL is compared.
    first, second = (_without_null_comparison(script.sql) for script in scripts)
    assert first == second
    for rows in _rows_of(scripts[0]):
        assert json.loads(rows)[0][0] is not None


def test_the_same_change_has_the_same_text_in_every_batch() -> None:
    first = _script(insert("t", a=number(1)), delete("t", a=number(7)), insert("u", a=number(2)))
    second = _script(insert("v", b=text("x")), insert("u", a=number(3)), delete("t", a=number(8)))
    lines = set(first.sql.splitlines()) & set(second.sql.splitlines())
    assert sum(line.startswith(("DELETE FROM", "INSERT INTO")) for line in lines) == 3
    assert "conflicts" not in first.parameters


def _rows_of(script: Script) -> list[str]:
    """Return what is sent for the deletes and inserts, in the script's order."""
    kept = {"ids", "conflicts", "ledger"}
    return [rows for name, rows in script.parameters.items() if name not in kept]


def _without_null_comparison(text_: str) -> str:
    return re.sub(r"WHERE .*\);$", "WHERE …", text_, flags=re.MULTILINE)


def test_null_keys_match_null_by_an_equality_of_both_sides() -> None:
    script = _script(delete("t", a=number(None), j=("JSON", None)))

    assert "(t.`a` IS NULL) = (k.c0 IS NULL) AND IFNULL(t.`a`, 0) = IFNULL(k.c0, 0)" in script.sql
    assert "TO_JSON_STRING(t.`j`)" in script.sql


def test_every_type_has_a_stand_in_for_null_and_a_way_to_be_read() -> None:
    kinds = ["TEXT", "INTEGER", "DOUBLE", "BOOLEAN", "DECIMAL", "DECIMAL(38,20)"]
    kinds += ["DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON", "BYTES"]

    script = _script(*(delete("t", **{f"c{i}": (kind, None)}) for i, kind in enumerate(kinds)))

    assert script.statements == len(kinds)
    assert "CAST(JSON_VALUE(r, '$[0]') AS BIGNUMERIC)" in script.sql
    assert "AS NUMERIC(" not in script.sql  # no parameters in a CAST


@pytest.mark.parametrize("limit", ["MAX_REQUEST_BYTES", "MAX_SQL_CHARACTERS"])
def test_a_script_past_a_limit_of_bigquery_is_too_large(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _script(insert("t", a=text("é" * 1000)))
    assert not script.too_large

    monkeypatch.setattr(sql, limit, 1_000 if limit == "MAX_SQL_CHARACTERS" else 2_000)
    assert _script(*(insert("t", **{f"c{i}": text("é" * 100)}) for i in range(10))).too_large


def test_ddl_names_every_column_with_its_type() -> None:
    columns = [("a", parse_type("DECIMAL(10,2)")), ("b", parse_type("VARCHAR(5)"))]

    assert sql.create_table("p.d", "t", columns) == (
        "CREATE TABLE IF NOT EXISTS `p.d.t` (`a` NUMERIC(10,2), `b` STRING)"
    )
    assert sql.add_columns("p.d", "t", columns) == (
        "ALTER TABLE `p.d.t` ADD COLUMN IF NOT EXISTS `a` NUMERIC(10,2), "
        "ADD COLUMN IF NOT EXISTS `b` STRING"
    )


def test_only_what_is_empty_is_dropped() -> None:
    assert sql.drop_unused("p.d", "t", None).startswith("IF NOT EXISTS (SELECT 1 FROM `p.d.t`)")
    assert "WHERE `c` IS NOT NULL" in sql.drop_unused("p.d", "t", "c")


def test_the_ledger_is_asked_with_a_parameter() -> None:
    asked, parameters = sql.look_up("p.d", ["a'b", "c"])

    assert "a'b" not in asked
    assert json.loads(parameters["ids"]) == ["a'b", "c"]
