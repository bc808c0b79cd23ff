from local_bigquery.sql.script import Statement, parse_script

from ops.local.bigquery.table_creation import MAX_GROUP, grouped


def sizes(statements: list[Statement]) -> list[int]:
    return [len(each.body) or 1 for each in grouped(statements)]


def test_consecutive_creations_of_different_tables_are_one_group() -> None:
    script = parse_script(
        "CREATE TABLE a (x INT64); create table if not exists `p.d.b` AS SELECT 1 AS x; "
        "SELECT 1; CREATE TABLE c (x INT64); CREATE TABLE d (x INT64); CREATE TABLE D (x INT64)"
    )
    assert sizes(script) == [2, 1, 2, 1]


def test_no_statement_is_lost_or_moved() -> None:
    texts = ["SELECT 1", *(f"CREATE TABLE t{n} (x INT64)" for n in range(250)), "SELECT 2"]
    found = grouped(parse_script(";".join(texts)))
    assert [each.text for group in found for each in group.body or [group]] == texts
    assert sizes(parse_script(";".join(texts))) == [1, MAX_GROUP, MAX_GROUP, 50, 1]


def test_scripts_with_a_transaction_or_with_blocks_are_left_alone() -> None:
    for start in ("BEGIN TRANSACTION", "BEGIN", "IF TRUE THEN SELECT 1; END IF", "DECLARE x INT64"):
        script = parse_script(f"{start}; CREATE TABLE a (x INT64); CREATE TABLE b (x INT64)")
        assert grouped(script) == script


def test_replacements_and_temporary_tables_are_not_grouped() -> None:
    for creation in ("CREATE OR REPLACE TABLE", "CREATE TEMP TABLE", "CREATE VIEW"):
        assert sizes(parse_script(f"{creation} a (x INT64); {creation} b (x INT64)")) == [1, 1]
