import json
import re
from collections import Counter
from typing import Any

import pytest

from schema import check_body
from tests.support.deliveries import body, delete, insert, number, text, update, upsert
from workers import sql
from workers.change_sql import TableLayout
from workers.fold import fold
from workers.sql import LaneSettlement, Script

NOTHING = LaneSettlement(7, 12, "2026-03-01 11:59:00+00:00", [], [])


def script_of(*activities: dict[str, object], layout: TableLayout | None = None) -> Script:
    changes = fold(check_body(body(*activities)).activities)
    return sql.script("p.d", changes, NOTHING, {"t": layout or TableLayout()})


def statements_of(script: Script) -> list[str]:
    """Return the data statements."""
    return script.sql.splitlines()[3:-2]


def rows_of(script: Script) -> list[str]:
    """Return what is sent for the deletes and inserts, in the script's order."""
    return [rows for name, rows in script.parameters.items() if name.startswith("rows_")]


def test_deletes_and_inserts_on_a_table_are_one_statement_however_many() -> None:
    pairs = [
        activity
        for i in range(1000)
        for activity in (delete("t", a=number(i)), insert("t", a=number(i), b=text("x")))
    ]
    script = script_of(*pairs)
    assert script.statements == 1
    assert script.sql.count("MERGE INTO") == 1
    (rows,) = (json.loads(rows) for rows in rows_of(script))
    assert Counter(kind for kind, *_ in rows) == {"d": 1000, "i": 1000}


def test_rows_of_several_column_sets_are_one_insert() -> None:
    script = script_of(*(insert("t", **{f"c{i}": number(i)}) for i in range(4)))
    assert script.statements == 1
    (rows,) = rows_of(script)
    assert json.loads(rows) == [
        ["0", None, None, None],
        [None, "1", None, None],
        [None, None, "2", None],
        [None, None, None, "3"],
    ]


def test_a_statement_differs_between_batches_of_the_same_columns_only_in_parameters() -> None:
    def of_t(*others: dict[str, object]) -> list[str]:
        new = insert("t", b=text("x")), insert("t", a=number(1))
        found = update("t", {"a": number(2)}, b=text("y"))
        lost = delete("t", b=text("z")), delete("t", a=number(3))
        batches = ((*others, *new, *lost, found), (*lost[::-1], found, *new[::-1], *others))
        scripts = [script_of(*each) for each in batches]
        texts = ["\n".join(filter(is_of_t, statements_of(script))) for script in scripts]
        return [re.sub(r"@\w+", "@", each) for each in texts]

    def is_of_t(line: str) -> bool:
        return ".t`" in line

    assert len({*of_t(), *of_t(insert("s", a=number(1)), delete("s", a=number(0)))}) == 1


def test_each_further_delete_key_is_a_statement_more() -> None:
    script = script_of(delete("t", a=number(1)), delete("t", b=number(1)), insert("t", a=number(2)))
    assert [line.split()[0] for line in script.sql.splitlines()] == [
        "BEGIN",
        "UPDATE",
        "ASSERT",
        "DELETE",
        "MERGE",
        "INSERT",
        "COMMIT",
    ]


def test_null_keys_match_null_by_an_equality_of_both_sides() -> None:
    script = script_of(delete("t", a=number(None), j=("JSON", None)))
    assert "(t.`a` IS NULL) = (s.k0 IS NULL) AND IFNULL(t.`a`, 0) = IFNULL(s.k0, 0)" in script.sql
    assert "TO_JSON_STRING(t.`j`)" in script.sql


def test_every_type_has_a_replacement_for_null_and_a_way_to_be_read() -> None:
    kinds = ["TEXT", "INTEGER", "DOUBLE", "BOOLEAN", "DECIMAL", "DECIMAL(38,20)"]
    kinds += ["DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON", "BYTES"]
    script = script_of(*(delete("t", **{f"c{i}": (kind, None)}) for i, kind in enumerate(kinds)))
    assert script.statements == len(kinds)
    assert "CAST(v[SAFE_OFFSET(0)] AS BIGNUMERIC)" in script.sql
    assert "wide_number_mode=>'round'" in script.sql
    assert "AS NUMERIC(" not in script.sql  # no parameters in a CAST


def test_keys_that_name_the_partition_column_bound_it_by_constants() -> None:
    activities = [
        delete("t", day=("DATE", f"2026-03-{day:02}"), a=number(day)) for day in (9, 3, 27)
    ]
    layout = TableLayout(pruned_by=["day"])
    for also in ([], [insert("t", a=number(1))]):
        script = script_of(*activities, *also, layout=layout)
        found = re.search(
            r"t\.`day` BETWEEN CAST\(@(\w+) AS DATE\) AND CAST\(@(\w+) AS", script.sql
        )
        assert found
        bounds = [script.parameters[name] for name in found.groups()]
        assert bounds == ["2026-03-03", "2026-03-27"]


@pytest.mark.parametrize(
    "keys", [{"a": number(1)}, {"day": ("DATE", None), "a": number(1)}, {"day": ("BOOLEAN", True)}]
)
def test_keys_without_a_partition_read_the_whole_table(keys: dict[str, tuple[str, object]]) -> None:
    script = script_of(delete("t", **keys), layout=TableLayout(pruned_by=["day"]))
    assert "BETWEEN" not in script.sql


def rows_sent(script: Script) -> list[list[str | None]]:
    (sent,) = rows_of(script)
    found: list[list[str | None]] = json.loads(sent)
    return found


def test_keyed_activities_are_one_merge_with_a_row_a_key() -> None:
    script = script_of(
        *(update("t", {"a": number(i % 3)}, b=text(str(i))) for i in range(100)),
        delete("t", a=number(7)),
        upsert("t", "a", a=number(8), b=text("new")),
        insert("t", a=number(0), b=text("more")),
    )

    (statement,) = statements_of(script)
    assert statement.startswith("MERGE INTO `p.d.t` AS t USING (SELECT ")
    assert " ON s.kind != 'i' AND t.`a` = s.k0 WHEN MATCHED" in statement
    assert " WHEN MATCHED AND s.kind = 'd' THEN DELETE" in statement
    assert " WHEN MATCHED AND s.kind != 'd' THEN UPDATE SET `b` = s.c0" in statement
    assert statement.endswith(
        " WHEN NOT MATCHED AND s.kind IN ('p', 'i') THEN INSERT (`a`, `b`) VALUES (s.k0, s.c0);"
    )
    assert rows_sent(script) == [
        ["d", "7"],
        ["u", "0", "99"],
        ["u", "1", "97"],
        ["u", "2", "98"],
        ["p", "8", "new"],
        ["i", "0", "more"],
    ]


def test_columns_that_a_row_leaves_alone_are_marked() -> None:
    script = script_of(
        update("t", {"a": number(1)}, b=text("x")),
        update("t", {"a": number(2)}, c=text(None)),
    )

    (statement,) = statements_of(script)
    assert "`b` = IF(SUBSTR(s.m, 1, 1) IN ('1', '3'), s.c0, t.`b`)" in statement
    assert "`c` = IF(SUBSTR(s.m, 2, 1) IN ('1', '3'), s.c1, t.`c`)" in statement
    assert rows_sent(script) == [["u", "1", "x", None, "10"], ["u", "2", None, None, "01"]]


def test_a_new_row_has_neither_what_it_missed_nor_null_for_a_default() -> None:
    activities = [
        update("t", {"a": number(1)}, b=text("x")),
        upsert("t", "a", a=number(1), c=text("y")),
        upsert("t", "a", a=number(2), b=text("z"), c=text("z")),
    ]
    script = script_of(*activities, layout=TableLayout({"b": "'own'"}))

    (statement,) = statements_of(script)
    given = "IF(SUBSTR(s.m, {}, 1) IN ('2', '3'), s.c{}, {})"
    values = f"s.k0, {given.format(1, 0, "'own'")}, {given.format(2, 1, 'NULL')}"
    assert f"VALUES ({values})" in statement
    assert rows_sent(script) == [["p", "1", "x", "y", "13"], ["p", "2", "z", "z", "33"]]


def test_an_insert_leaves_a_column_to_its_default_where_a_row_does() -> None:
    activities = [insert("t", a=number(1)), insert("t", a=number(2), b=text(None))]
    script = script_of(*activities, layout=TableLayout({"b": "'own'", "a": "7"}))

    (statement,) = statements_of(script)
    assert "SELECT s.c0, IF(SUBSTR(s.m, 1, 1) IN ('2', '3'), s.c1, 'own') FROM (SELECT" in statement
    assert rows_sent(script) == [["1", None, "0"], ["2", None, "2"]]


def test_an_update_of_the_key_sets_it() -> None:
    script = script_of(
        update("t", {"a": number(1)}, a=number(2)), upsert("t", "a", a=number(3), b=text("x"))
    )

    (statement,) = statements_of(script)
    assert "UPDATE SET `a` = IF(SUBSTR(s.m, 1, 1) IN ('1', '3'), s.c0, t.`a`)" in statement
    given = [f"IF(SUBSTR(s.m, {n + 1}, 1) IN ('2', '3'), s.c{n}, NULL)" for n in range(2)]
    assert f"INSERT (`a`, `b`) VALUES ({', '.join(given)})" in statement
    assert rows_sent(script) == [["u", "1", "2", None, "10"], ["p", "3", "3", "x", "23"]]


@pytest.mark.parametrize(
    ("kind", "values", "ends"),
    [
        ("TEXT", ["b", "a", "aa"], ("a", "b")),
        ("INTEGER", [9, 10, -3], ("-3", "10")),
        ("DECIMAL", ["9.5", "10", "-3"], ("-3", "10")),
        ("TIMESTAMP", ["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z"], (
            "2026-01-01 00:00:00+00:00", "2026-01-01 00:00:00.500000+00:00",
        )),
    ],
)  # fmt: skip
def test_keys_of_a_clustered_table_are_bounded_in_their_types_order(
    kind: str, values: list[Any], ends: tuple[str, str]
) -> None:
    layout = TableLayout(pruned_by=["a", "b"])
    keys = [(kind, value) for value in values]
    for activities in (
        [delete("t", a=key) for key in keys],
        [update("t", {"A": key}, c=number(1)) for key in keys],
        [upsert("t", "a", a=key, b=number(1)) for key in keys],
    ):
        script = script_of(*activities, layout=layout)
        (statement,) = statements_of(script)
        assert statement.count(" BETWEEN ") == 1  # the other column is not in the key
        found = re.search(r" BETWEEN .*?@(low_\w+).*? AND .*?@(high_\w+)", statement)
        assert found
        assert tuple(script.parameters[name] for name in found.groups()) == ends
