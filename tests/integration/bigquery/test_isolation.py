"""What other users of the machine and web pages cannot do with the local BigQuery."""

import http.client
import json
from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest

from ops.runtime import addresses, clients
from tests.integration.bigquery.conftest import DATASET, Emulator

PATH = "/bigquery/v2/projects/gatekeeper-local/queries"
SECRET = "b7e1-secret"


def ask(emulator: Emulator, sql: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*addresses.split(emulator.address), timeout=60)
    body = json.dumps({"query": sql, "useLegacySql": False, "timeoutMs": 50_000})
    connection.request("POST", PATH, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


SOURCES = [
    "read_text('{file}')", "read_blob('{file}')", "read_csv_auto('{file}', header=false)",
    "read_csv('{file}')", "read_parquet('{file}')", "parquet_scan('{file}')", "sniff_csv('{file}')",
    "read_json('{file}')", "st_read('{file}')", "glob('{folder}/*')", "'{file}'", "`{file}`",
    "system.main.read_text('{file}')", "main.read_text('emulator.duckdb')",
    "read_blob('emulator.duckdb')", "query('SELECT 1')", "duckdb_settings()",
    "EXTERNAL_QUERY('us.default', 'SELECT 1')", "`emulator`.`main`.`jobs`",
]  # fmt: skip
STATEMENTS = [
    *(f"SELECT * FROM {source}" for source in SOURCES),
    "SELECT (SELECT content FROM read_text('{file}'))",
    "WITH a AS (SELECT * FROM read_text('{file}')) SELECT * FROM a",
    "CREATE VIEW gatekeeper.v AS SELECT * FROM read_text('{file}')",
    "CREATE TABLE gatekeeper.t AS SELECT * FROM read_text('{file}')",
    "EXECUTE IMMEDIATE \"SELECT * FROM read_text('{file}')\"",
    "DECLARE x STRING DEFAULT (SELECT content FROM read_text('{file}')); SELECT x",
    "IF EXISTS (SELECT 1 FROM read_text('{file}')) THEN SELECT 1; END IF",
    "FOR r IN (SELECT * FROM read_text('{file}')) DO SELECT r.content; END FOR",
    "COPY (SELECT 1 AS a) TO '{other}'",
    "COPY (SELECT 1 AS a) TO 'inside.csv'",
    "EXPORT DATA OPTIONS (uri = '{other}', format = 'CSV') AS SELECT 1 AS a",
    "EXPORT DATABASE '{folder}/exported'",
    "LOAD DATA INTO gatekeeper.t FROM FILES (format = 'CSV', uris = ['file://{file}'])",
    "ATTACH '{other}' AS stolen",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET GLOBAL enable_external_access = true",
    "PRAGMA database_list",
    "USE system",
    "DELETE FROM emulator.main.jobs WHERE TRUE",
    "CREATE SCHEMA `{folder}/evil`.c",
    "CREATE SCHEMA `../evil`.c",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_reads_and_writes_no_file(emulator: Emulator, tmp_path: Path, statement: str) -> None:
    file, other = tmp_path / "secret.csv", tmp_path / "written.csv"
    file.write_text(SECRET + "\n")
    status, text = ask(emulator, statement.format(file=file, other=other, folder=tmp_path))
    assert status != 200
    assert SECRET not in text
    assert [each.name for each in tmp_path.iterdir()] == ["secret.csv"]
    assert not list(emulator.state.rglob("inside*"))
    assert not list(emulator.state.rglob("evil*"))


def test_a_foreign_host_is_refused_and_plain_sql_still_works(emulator: Emulator) -> None:
    assert ask(emulator, "SELECT 1 AS a", Host="rebind.evil.example")[0] == 403
    assert ask(emulator, "SELECT 1 AS a", Origin="https://evil.example")[0] == 403
    assert ask(emulator, "SELECT 1 AS a")[0] == 200


def test_the_project_of_a_request_is_no_path(emulator: Emulator) -> None:
    connection = http.client.HTTPConnection(*addresses.split(emulator.address), timeout=60)
    dataset = {"projectId": "../../evil", "datasetId": "d"}
    body = json.dumps({"query": "SELECT 1", "useLegacySql": False, "defaultDataset": dataset})
    connection.request("POST", PATH, body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 400
    connection.close()


def test_only_a_client_with_the_token_deletes(emulator: Emulator) -> None:
    emulator.run(f"CREATE TABLE `{DATASET}.deleted` (a INT64)")
    with clients.emulated_warehouse("gatekeeper-local", emulator.address, None) as client:
        with pytest.raises(Exception, match="token") as refused:
            client.delete_table(f"{DATASET}.deleted", timeout=20)
        assert getattr(refused.value, "code", None) == 403
    with emulator.client() as client:
        client.delete_table(f"{DATASET}.deleted", timeout=20)


def test_names_that_differ_in_case_are_different_tables(emulator: Emulator) -> None:
    for name, value in (("Case", 1), ("case", 2), ("CASE", 3)):
        emulator.run(f"CREATE TABLE `{DATASET}.{name}` (id INT64)")
        emulator.run(f"INSERT INTO `{DATASET}.{name}` (id) VALUES ({value})")
    for name, value in (("Case", 1), ("case", 2), ("CASE", 3)):
        assert emulator.rows(f"SELECT id FROM `{DATASET}.{name}`") == [(value,)]
    with emulator.client() as client:
        listed = {each.table_id for each in client.list_tables(DATASET)}
        assert {"Case", "case", "CASE"} <= listed
        assert client.get_table(f"{DATASET}.Case").table_id == "Case"
    assert emulator.rows(
        f"SELECT table_name FROM `{DATASET}`.INFORMATION_SCHEMA.TABLES "
        "WHERE LOWER(table_name) = 'case' ORDER BY table_name"
    ) == [("CASE",), ("Case",), ("case",)]
    with pytest.raises(Exception, match=r"Not found: Table gatekeeper-local:gatekeeper\.cASE"):
        emulator.run(f"SELECT * FROM `{DATASET}.cASE`")


@pytest.mark.parametrize("length", [200, 201, 255, 256, 300, 1_000, 1_024])
def test_a_name_may_be_longer_than_the_name_of_a_directory(emulator: Emulator, length: int) -> None:
    name = f"{DATASET}.{'n' * length}"
    emulator.run(f"CREATE TABLE `{name}` (id INT64)")
    emulator.run(f"INSERT INTO `{name}` (id) VALUES (1)")
    assert emulator.rows(f"SELECT COUNT(*) FROM `{name}`") == [(1,)]


def test_a_longer_name_is_a_permanent_error(emulator: Emulator) -> None:
    with pytest.raises(BadRequest, match="Invalid table ID"):
        emulator.run(f"CREATE TABLE `{DATASET}.{'n' * 1_025}` (id INT64)")
