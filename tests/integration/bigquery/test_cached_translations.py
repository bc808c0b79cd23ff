"""The same statement again, after the catalog has changed: it means the new tables."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from tests.integration.bigquery.conftest import DATASET, Emulator

type Change = Callable[[Emulator, str], object]


def _insert(emulator: Emulator, table: str, value: str) -> None:
    emulator.run(
        f"INSERT INTO `{table}` (`a`) SELECT JSON_VALUE(r, '$[0]') "
        "FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r",
        rows=json.dumps([[value]]),
    )


def _by_sql(emulator: Emulator, table: str) -> None:
    emulator.run(f"DROP TABLE `{table}`")


def _by_script(emulator: Emulator, table: str) -> None:
    emulator.run(f"BEGIN DROP TABLE `{table}`; END")


def _by_api(emulator: Emulator, table: str) -> None:
    with emulator.client() as client:
        client.delete_table(table)


@pytest.mark.parametrize("drop", [_by_sql, _by_script, _by_api])
def test_a_table_dropped_and_created_again_is_seen(emulator: Emulator, drop: Change) -> None:
    table = f"{DATASET}.t_{uuid.uuid4().hex}"
    emulator.run(f"CREATE TABLE `{table}` (a STRING)")
    _insert(emulator, table, "one")
    _insert(emulator, table, "two")
    drop(emulator, table)
    with pytest.raises(GoogleAPICallError, match=r"[Nn]ot found"):
        _insert(emulator, table, "nowhere")
    emulator.run(f"CREATE TABLE `{table}` (a STRING, b INT64)")
    _insert(emulator, table, "three")
    assert emulator.rows(f"SELECT a, b FROM `{table}`") == [("three", None)]


def test_a_column_of_another_type_is_seen(emulator: Emulator) -> None:
    table = f"{DATASET}.t_{uuid.uuid4().hex}"
    text = f"DELETE FROM `{table}` AS t WHERE TO_JSON_STRING(t.`a`) = @key"
    for declared, value, key in (("STRING", "'1'", '"1"'), ("INT64", "1", "1")):
        emulator.run(f"CREATE OR REPLACE TABLE `{table}` (a {declared})")
        emulator.run(f"INSERT INTO `{table}` (a) VALUES ({value})")
        assert emulator.deleted(f"BEGIN TRANSACTION; {text}; COMMIT TRANSACTION;", key=key) == 1


def test_a_schema_changed_by_the_api_is_seen(emulator: Emulator) -> None:
    table = f"{DATASET}.t_{uuid.uuid4().hex}"
    emulator.run(f"CREATE TABLE `{table}` (a STRING)")
    text = f"INSERT INTO `{table}` (a, b) SELECT @a, 2"
    for _ in range(2):
        with pytest.raises(GoogleAPICallError):
            emulator.run(text, a="x")
    with emulator.client() as client:
        found = client.get_table(table)
        found.schema = [*found.schema, bigquery.SchemaField("b", "INT64")]
        client.update_table(found, ["schema"])
    emulator.run(text, a="x")
    assert emulator.rows(f"SELECT a, b FROM `{table}`") == [("x", 2)]


def test_a_table_under_a_view_is_seen(emulator: Emulator) -> None:
    one, view, other = (f"{DATASET}.t_{uuid.uuid4().hex}" for _ in range(3))
    emulator.run(f"CREATE TABLE `{other}` (a STRING)")
    for declared, value, copied in (("STRING", "'1'", '"1"'), ("INT64", "1", "1")):
        emulator.run(f"CREATE OR REPLACE TABLE `{one}` (a {declared})")
        emulator.run(f"CREATE VIEW IF NOT EXISTS `{view}` AS SELECT * FROM `{one}`")
        emulator.run(f"INSERT INTO `{one}` (a) VALUES ({value})")
        emulator.run(f"INSERT INTO `{other}` (a) SELECT TO_JSON_STRING(a) FROM `{view}`")
        assert emulator.rows(f"SELECT a FROM `{other}`") == [(copied,)]
        emulator.run(f"DELETE FROM `{other}` WHERE TRUE")
    emulator.run(f"DROP VIEW `{view}`")


def test_a_table_replaced_by_a_query_is_seen(emulator: Emulator) -> None:
    table = f"{DATASET}.t_{uuid.uuid4().hex}"
    with emulator.client() as client:
        for number, wanted in ((1, "1"), ("one", '"one"')):
            config = bigquery.QueryJobConfig(destination=table, write_disposition="WRITE_TRUNCATE")
            client.query(f"SELECT {number!r} AS a", config).result()
            text = f"DELETE FROM `{table}` AS t WHERE TO_JSON_STRING(t.a) = @key"
            script = f"BEGIN TRANSACTION; {text}; COMMIT TRANSACTION;"
            assert emulator.deleted(script, key=wanted) == 1


def test_a_table_created_in_a_transaction_is_seen_after_the_commit(tmp_path: Path) -> None:
    table = f"{DATASET}.t"
    insert = f"INSERT INTO `{table}` (a) SELECT @a"
    with Emulator(tmp_path) as emulator:
        made = f"BEGIN TRANSACTION; CREATE TABLE `{table}` (a STRING)"
        emulator.run(f"{made}; ROLLBACK TRANSACTION;")
        with pytest.raises(GoogleAPICallError, match=r"[Nn]ot found"):
            emulator.run(insert, a="x")
        emulator.run(f"{made}; COMMIT TRANSACTION;")
        for _ in range(2):
            emulator.run(insert, a="x")
        assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(2,)]


def test_the_same_statement_with_other_names_of_parameters_has_their_values(
    emulator: Emulator,
) -> None:
    table = f"{DATASET}.t_{uuid.uuid4().hex}"
    emulator.run(f"CREATE TABLE `{table}` (a STRING)")
    for first, second in (("one", "two"), ("two", "one"), ("one", "one")):
        text = f"INSERT INTO `{table}` (a) SELECT CONCAT(@{first}, '-', @{second})"
        emulator.run(text, one="1", two="2")
    found = emulator.rows(f"SELECT a FROM `{table}` ORDER BY a")
    assert found == [("1-1",), ("1-2",), ("2-1",)]
