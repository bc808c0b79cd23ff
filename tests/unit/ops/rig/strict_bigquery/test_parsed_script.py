import pytest

from ops.rig.strict_bigquery import parsed_script
from ops.rig.strict_bigquery.parsed_script import ParsedStatement


def parse(sql: str, dataset: str = "p.d") -> tuple[ParsedStatement, ...]:
    return parsed_script.parse(sql, dataset)


def kinds(sql: str) -> list[str]:
    return [each.kind for each in parse(sql)]


def test_a_script_is_cut_at_its_semicolons_and_not_in_texts() -> None:
    sql = """BEGIN TRANSACTION;
    UPDATE `p.d.a` SET x = 'one; two' WHERE TRUE;
    ASSERT @@row_count = 1 AS 'fenced; again';
    INSERT INTO `p.d.b` (x) VALUES (1); -- a comment; of two parts
    COMMIT TRANSACTION;"""
    assert kinds(sql) == ["BEGIN", "UPDATE", "ASSERT", "INSERT", "COMMIT"]


def test_control_words_do_not_hide_the_statement_behind_them() -> None:
    sql = """DECLARE x INT64 DEFAULT 1;
    IF EXISTS (SELECT 1 FROM a) THEN DELETE FROM a WHERE TRUE; ELSE INSERT INTO b (x) VALUES (1);
    END IF; BEGIN UPDATE a SET x = 1 WHERE TRUE; EXCEPTION WHEN ERROR THEN ROLLBACK; END;"""
    found = kinds(sql)
    assert [each for each in found if each in {"DELETE", "INSERT", "UPDATE"}] == [
        "DELETE",
        "INSERT",
        "UPDATE",
    ]


@pytest.mark.parametrize(
    ("sql", "kind", "target", "mutates"),
    [
        ("INSERT INTO `q.e.t` (a) SELECT 1", "INSERT", "q.e.t", False),
        ("INSERT INTO t (a) SELECT b FROM e.u", "INSERT", "p.d.t", False),
        ("DELETE FROM `d.t` WHERE TRUE", "DELETE", "p.d.t", True),
        ("UPDATE t SET a = 1 WHERE TRUE", "UPDATE", "p.d.t", True),
        ("TRUNCATE TABLE t", "TRUNCATE", "p.d.t", True),
        ("MERGE t USING u ON FALSE WHEN MATCHED THEN DELETE", "MERGE", "p.d.t", True),
        (
            "MERGE t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)",
            "MERGE",
            "p.d.t",
            False,
        ),
        ("CREATE TABLE IF NOT EXISTS t (a INT64)", "CREATE", "p.d.t", False),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT64", "ALTER", "p.d.t", False),
        ("DROP TABLE t", "DROP", "p.d.t", False),
        ("CREATE TEMP TABLE t AS SELECT 1", "OTHER", "", False),
        ("SELECT * FROM t", "SELECT", "", False),
        ("this is not SQL", "OTHER", "", False),
    ],
)
def test_a_statement_names_what_it_changes(
    sql: str,
    kind: str,
    target: str,
    mutates: bool,  # noqa: FBT001
) -> None:
    (found,) = parse(sql)
    assert (found.kind, found.target, found.mutates) == (kind, target, mutates)


def test_a_statement_lists_the_tables_that_it_names_but_no_local_ones() -> None:
    sql = (
        "WITH w AS (SELECT * FROM e.u) SELECT * FROM w, t, d.INFORMATION_SCHEMA.TABLES, UNNEST([1])"
    )
    (found,) = parse(sql)
    assert found.tables == {"p.e.u", "p.d.t"}


def test_an_assertion_keeps_its_description_and_the_tables_of_its_condition() -> None:
    (found,) = parse("ASSERT NOT EXISTS (SELECT 1 FROM t) AS 'twice'")
    assert (found.description, list(found.tables)) == ("twice", ["p.d.t"])


def test_a_text_that_came_before_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse("DELETE FROM t WHERE TRUE; SELECT 1")
    calls: list[object] = []
    monkeypatch.setattr(parsed_script, "_of_tree", lambda tree, _: calls.append(tree))
    assert parse("DELETE FROM t WHERE TRUE; SELECT 1") is first
    assert parse("SELECT 1; DELETE FROM t WHERE TRUE") == first[::-1]
    assert calls == []
