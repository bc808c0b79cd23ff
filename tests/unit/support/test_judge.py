"""The judge refuses wrong SQL, wherever in a test run's processes it comes from."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.fleet.config import ROOT
from schema import check_body
from tests.support.deliveries import body, delete, insert, number
from tests.support.judge import collected
from tests.support.judge.analysis import Analyzer
from tests.support.judge.engine import SqlRefused
from tests.support.judge.statements import change_statements
from workers.fold import fold

TABLES = {"p.d.t": {"a": "INT64", "b": "STRING"}}
SEND = """
import contextlib, sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": "http://127.0.0.1:9"})
parameters = [bigquery.ScalarQueryParameter("x", "STRING", "a value")]
config = bigquery.QueryJobConfig(query_parameters=parameters)
for send in (client.query, client.query_and_wait):
    with contextlib.suppress(OSError):
        send(sys.argv[1], job_config=config, retry=None, job_retry=None, timeout=5) \\
            if send == client.query else \\
            send(sys.argv[1], job_config=config, retry=None, job_retry=None, api_timeout=5)
"""


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(TABLES)


def test_a_right_script_is_taken_statement_by_statement(analyzer: Analyzer) -> None:
    script = (
        "BEGIN TRANSACTION;\nUPDATE `p.d.t` SET a = CAST(@x AS INT64) WHERE b = @x;\n"
        "ASSERT @@row_count = 1 AS 'no';\nCOMMIT TRANSACTION;"
    )

    kinds = analyzer.analyze(script, {"x": "STRING"})

    assert kinds == ["begin", "update", "assert", "commit"]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT c FROM `p.d.t`", "Unrecognized name: c"),
        ("SELECT a FROM `p.d.u`", "Table not found"),
        ("SELECT a FROM `p.d.t` WHERE a = @x", "No matching signature for operator ="),
        ("SELECT a FROM `p.d.t` WHERE a = @y", "Query parameter 'y' not found"),
        ("INSERT INTO `p.d.t` (a) SELECT @x", "cannot be inserted into column a"),
        ("SELECT PARSE_JSON(@x, wide_number_mode=>'round') = JSON '1'", "Equality is not defined"),
        ("SELECT 1 FROM `p.d.t` GROUP", "Syntax error"),
        ("DROP TABLE `p.d.t`", "Statement not supported"),
        ("BEGIN TRANSACTION;\nCREATE TABLE `p.d.v` (a INT64);\nCOMMIT TRANSACTION;", "inside a tr"),
        ("BEGIN TRANSACTION;\nDELETE FROM `p.d.t` WHERE TRUE;", "not committed"),
    ],
)
def test_a_wrong_script_is_refused(analyzer: Analyzer, sql: str, error: str) -> None:
    with pytest.raises(SqlRefused, match=error):
        analyzer.analyze(sql, {"x": "STRING"})


def test_columns_named_like_the_aliases_of_a_statement_are_right() -> None:
    names = ("s", "t", "v", "r", "gone", "k0", "c0", "rows_0")
    columns: dict[str, Any] = {name: number(1) for name in names}
    drawn = check_body(body(delete("t", **columns), insert("t", **columns), delete("u", **columns)))
    sql, parameters = change_statements("p.d", fold(drawn.activities))

    kinds = Analyzer(dict.fromkeys(("p.d.t", "p.d.u"), dict.fromkeys(names, "INT64"))).analyze(
        sql, dict.fromkeys(parameters, "STRING")
    )

    assert kinds == ["merge", "delete"]


def _line(**record: Any) -> str:
    return json.dumps(record)


def test_a_text_is_judged_by_the_columns_that_its_process_had_then() -> None:
    text = {"sql": "SELECT a + 1 FROM `p.d.t`", "parameters": {}}
    first = collected.texts([_line(table="p.d.t", columns={"a": "INTEGER"}), _line(**text)])
    second = collected.texts([_line(table="p.d.t", columns={"a": "STRING"}), _line(**text)])

    count, refused = collected.judge([*first, *second])

    assert count == 2
    assert [each.error[:30] for each in refused] == ["No matching signature for oper"]


def test_a_text_may_have_been_written_before_a_table_was_replaced() -> None:
    tables = [_line(table="p.d.t", columns={"a": kind}) for kind in ("INTEGER", "STRING")]
    right, wrong = (_line(sql=f"SELECT a + {x} FROM `p.d.t`", parameters={}) for x in ("1", "b"))

    count, refused = collected.judge(collected.texts([*tables, right, wrong]))

    assert count == 2
    assert [each.error for each in refused] == ["Unrecognized name: b"]


def test_a_table_that_a_process_has_not_seen_is_as_others_have_it() -> None:
    seen = collected.texts(
        [_line(table="p.d.t", columns={"a": "INTEGER"}), _line(sql="SELECT 1", parameters={})]
    )
    unseen = collected.texts([_line(sql="SELECT a FROM `p.d.t`", parameters={})])

    assert collected.judge([*seen, *unseen]) == (2, [])


def test_a_table_that_only_a_script_makes_has_the_columns_of_its_statement() -> None:
    lines = [
        _line(sql=sql, parameters={})
        for sql in (
            "SELECT a FROM `p.d.u`",
            "CREATE OR REPLACE TABLE `p.d.t` AS SELECT 0 AS epoch",
            "UPDATE `p.d.t` SET epoch = epoch + 1 WHERE epoch = 0",
            "CREATE TABLE `p.d.u` (a FLOAT64, b JSON);\nINSERT INTO `p.d.u` SELECT 0.5, JSON '1';",
            "UPDATE `p.d.t` SET epoch = 'x' WHERE TRUE",
            "INSERT INTO `p.d.u` SELECT 'x', JSON '1'",
        )
    ]

    count, refused = collected.judge(collected.texts(lines))

    assert count == 6
    assert [each.sql[:8] for each in refused] == ["UPDATE `", "INSERT I"]


def test_what_a_process_has_had_counts_more_than_how_another_creates_it() -> None:
    made = _line(sql="CREATE TABLE `p.d.t` (a INT64, b INT64)", parameters={})
    text = _line(sql="SELECT a + b FROM `p.d.t`", parameters={})
    seen = [_line(table="p.d.t", columns={"a": "INTEGER"}), text]

    count, refused = collected.judge(
        [*collected.texts([made]), *collected.texts(seen), *collected.texts([text])]
    )

    assert count == 2
    assert [each.error for each in refused] == ["Unrecognized name: b"]


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("BEGIN TRANSACTION", 0),
        ("CALL BQ.ABORT_SESSION()", 0),
        ("SELECT 1;\nIF @@row_count != 1 THEN RAISE USING MESSAGE = 'x'; END IF;", 0),
        ("ALTER TABLE `p.d.gatekeeper_try_12_column` ADD COLUMN b STRING", 0),
        ("SELECT a FROM `p.d.gatekeeper_try_12_column`", 1),
        ("BEGIN TRANSACTION;\nSELECT 1;", 1),
    ],
)
def test_only_what_googlesql_does_not_know_is_left_to_bigquery(sql: str, count: int) -> None:
    counted, refused = collected.judge(collected.texts([_line(sql=sql, parameters={})]))

    assert (counted, len(refused)) == (count, count)


def test_texts_that_differ_in_dataset_and_lane_alone_are_one() -> None:
    sql = "SELECT id FROM `p.{}.gatekeeper_ledger_{}`"
    lines = [_line(sql=sql.format(f"d{lane}", lane), parameters={}) for lane in ("07", "31")]

    assert collected.judge(collected.texts(lines)) == (1, [])


def _environ(folder: Path | None = None) -> dict[str, str]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/tests/support/judge/every_process:{ROOT}"}
    environ.pop("SQL_TEXTS_DIR", None)
    return environ | ({"SQL_TEXTS_DIR": str(folder)} if folder else {})


def test_a_process_records_what_it_sends_even_if_no_answer_comes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEND, "SELECT @x"]
    subprocess.run(command, env=_environ(tmp_path), check=True)

    (sent,) = collected.read(tmp_path)
    assert (sent.sql, sent.parameters) == ("SELECT @x", {"x": "STRING"})


def test_a_run_in_which_a_wrong_text_left_a_process_fails_and_prints_it(tmp_path: Path) -> None:
    test = tmp_path / "test_sends.py"
    call = f"subprocess.run([sys.executable, '-c', {SEND!r}, 'SELECT nothing'], check=True)"
    test.write_text(f"import subprocess, sys\ndef test_sends():\n    {call}\n")
    plugins = ["-p", "tests.support.judge.plugin", "-p", "xdist.plugin", "-n", "1"]
    command = [sys.executable, "-m", "pytest", *plugins, "-c", os.devnull, str(test)]

    done = subprocess.run(
        command,
        env=_environ() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "1 SQL texts judged by GoogleSQL, 1 refused" in done.stdout
    assert "SELECT nothing\n  Unrecognized name: nothing" in done.stdout
