"""`gatekeeper doctor --try`: what BigQuery's documentation leaves open, on scratch tables.

Each probe returns what it saw. The scratch tables' names begin with `gatekeeper_try_`, which no
client may write, and are removed at the end.
"""

import contextlib
import time
import uuid
from collections.abc import Callable

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.commands.doctor import warehouse_checks
from ops.commands.doctor.check_result import CheckFailed, CheckResult, CheckSkipped
from ops.commands.doctor.scratch_tables import ScratchTables
from ops.commands.google_failure import CALL_ERRORS, one_line
from ops.runtime import clients
from ops.runtime.settings import Settings

STATEMENT_SECONDS = 60.0
_FENCED = "gatekeeper: fenced"
_TEXT = 200
"""Characters of an error's text that a line shows."""


def _refusal(error: Exception) -> str:
    return one_line(error)[:_TEXT]


def _head(scratch: ScratchTables, name: str) -> str:
    table = scratch.table(name)
    scratch.run(f"CREATE OR REPLACE TABLE {table} AS SELECT 0 AS epoch")
    return table


def _fence(scratch: ScratchTables, name: str, check: str) -> str:
    """Run a fence that passes and one that must not, and check that only the first changed."""
    table = _head(scratch, name)
    script = (
        f"BEGIN TRANSACTION;\nUPDATE {table} SET epoch = epoch + 1 WHERE epoch = 0;\n"
        f"{check}\nCOMMIT TRANSACTION;"
    )
    scratch.run(script)
    try:
        scratch.run(script)
    except GoogleAPICallError as error:
        if _FENCED not in str(error):
            raise CheckFailed(f"refused: {_refusal(error)}") from None
    else:
        raise CheckFailed("a transaction whose fence failed was committed")
    if (epoch := scratch.value(f"SELECT epoch FROM {table}")) != 1:
        raise CheckFailed(f"the epoch is {epoch}, not 1: the failed transaction left its change")
    return "a failed fence ends the script, its text comes back, nothing is changed"


def assert_in_transaction(scratch: ScratchTables) -> str:
    return _fence(scratch, "assert", f"ASSERT @@row_count = 1 AS '{_FENCED}';")


def raise_in_transaction(scratch: ScratchTables) -> str:
    check = f"IF @@row_count != 1 THEN RAISE USING MESSAGE = '{_FENCED}'; END IF;"
    return _fence(scratch, "raise", check)


def conflict_of_two_heads(scratch: ScratchTables) -> str:
    """Update one head in two open transactions, and commit both."""
    table = _head(scratch, "conflict")
    update = f"UPDATE {table} SET epoch = epoch + 1 WHERE epoch = 0"
    refused = []
    with scratch.session() as first, scratch.session() as second:
        for number, (session, sql) in enumerate(
            (
                (first, "BEGIN TRANSACTION"),
                (second, "BEGIN TRANSACTION"),
                (first, update),
                (second, update),
                (first, "COMMIT TRANSACTION"),
                (second, "COMMIT TRANSACTION"),
            )
        ):
            try:
                session(sql)
            except GoogleAPICallError as error:
                refused.append(f"step {number + 1} ({sql.split()[0]}): {_refusal(error)}")
    epoch = scratch.value(f"SELECT epoch FROM {table}")
    if epoch != 1 or not refused:
        raise CheckFailed(f"both transactions may have committed: the epoch is {epoch}")
    return f"one of two was cancelled, at {refused[0]}"


def merge_plan_and_bytes(scratch: ScratchTables) -> str:
    """Merge into a partitioned table, with and without a constant bound on its partition column."""
    table = scratch.table("merge")
    scratch.run(
        f"CREATE OR REPLACE TABLE {table} (day DATE, id INT64, note STRING) PARTITION BY day;\n"
        f"INSERT INTO {table} SELECT DATE_ADD(DATE '2026-01-01', INTERVAL d DAY), n, 'note' "
        "FROM UNNEST(GENERATE_ARRAY(0, 9)) AS d, UNNEST(GENERATE_ARRAY(1, 100)) AS n;"
    )
    seen = []
    for id_, name, bound in (
        (7, "bounded", "t.day = DATE '2026-01-03' AND "),
        (8, "unbounded", ""),
    ):
        job = scratch.run(
            f"MERGE INTO {table} AS t USING (SELECT 'd' AS kind, DATE '2026-01-03' AS day,"
            f" {id_} AS id, '0' AS m UNION ALL SELECT 'u', DATE '2026-01-03', 20 + {id_}, '1'"
            f" UNION ALL SELECT 'i', DATE '2026-01-03', 700 + {id_}, '2') AS s"
            f" ON {bound}s.kind != 'i' AND t.day = s.day AND t.id = s.id"
            " WHEN MATCHED AND s.kind = 'd' THEN DELETE WHEN MATCHED AND s.kind != 'd' THEN UPDATE"
            " SET note = IF(SUBSTR(s.m, 1, 1) IN ('1', '3'), 'changed', t.note)"
            " WHEN NOT MATCHED AND s.kind IN ('p', 'i') THEN INSERT (day, id, note)"
            " VALUES (s.day, s.id, 'new')"
        )
        seen.append(f"{name} {_billing(job)}")
    left = f"SELECT FORMAT('%d of %d', COUNTIF(note = 'changed'), COUNT(*)) FROM {table}"
    if (found := scratch.value(left)) != "2 of 1000":  # two deleted, two updated, two inserted
        raise CheckFailed(f"a MERGE left another state, {found} changed; {', '.join(seen)}")
    return ", ".join(seen)


def guard_plan_and_bytes(scratch: ScratchTables) -> str:
    """Run the head's UPDATE with the guard's NOT EXISTS over a ledger partitioned by hour."""
    head, ledger = _head(scratch, "guard"), scratch.table("ledger")
    scratch.run(
        f"CREATE OR REPLACE TABLE {ledger} (id STRING, settled_at TIMESTAMP) "
        "PARTITION BY TIMESTAMP_TRUNC(settled_at, HOUR) CLUSTER BY id"
    )
    job = scratch.run(
        f"UPDATE {head} SET epoch = epoch + 1 WHERE epoch = 0 AND NOT EXISTS (SELECT 1 FROM "
        f"{ledger} WHERE settled_at >= TIMESTAMP '2026-01-01' AND id IN UNNEST(['a', 'b']))"
    )
    return _billing(job)


def insert_bytes(scratch: ScratchTables) -> str:
    """Insert a row, which reads no table."""
    table = _head(scratch, "insert")
    return _billing(scratch.run(f"INSERT INTO {table} SELECT 7"))


def _billing(job: bigquery.QueryJob) -> str:
    if not job.total_bytes_billed and not job.query_plan:
        return "ran; this BigQuery gives neither bytes billed nor a plan"
    joins = [
        text
        for stage in job.query_plan
        for step in stage.steps
        for text in step.substeps
        if "JOIN" in text.upper()
    ]
    joined = f", {joins[0][:60]}" if joins else ""
    return (
        f"bills {job.total_bytes_billed or 0:,} bytes of {job.total_bytes_processed or 0:,} read "
        f"in {len(job.query_plan)} stages{joined}"
    )


def json_number(scratch: ScratchTables) -> str:
    table = scratch.table("json")
    scratch.run(
        f"CREATE OR REPLACE TABLE {table} (v JSON);\nINSERT INTO {table} SELECT "
        """PARSE_JSON('{"a":1.0,"b":11.85907}', wide_number_mode=>'round')"""
    )
    read = scratch.value(f"SELECT TO_JSON_STRING(v) FROM {table}")
    return f'{{"a":1.0,"b":11.85907}} is read as {read}'


def dropped_column(scratch: ScratchTables) -> str:
    table = scratch.table("column")
    scratch.run(f"CREATE OR REPLACE TABLE {table} (a INT64, b INT64)")
    scratch.run(f"ALTER TABLE {table} DROP COLUMN b")
    try:
        scratch.run(f"ALTER TABLE {table} ADD COLUMN b STRING")
    except GoogleAPICallError as error:
        return f"a dropped column cannot be added again: {_refusal(error)}"
    return "a dropped column can be added again immediately, with another type"


def job_location(scratch: ScratchTables) -> str:
    """Look a job up with the dataset's location and without one."""
    location = scratch.client.get_dataset(scratch.dataset, timeout=scratch.seconds).location
    job_id = f"gatekeeper-try-{uuid.uuid4().hex}"
    scratch.run(f"SELECT COUNT(*) FROM {_head(scratch, 'location')}", job_id=job_id)
    scratch.client.get_job(job_id, location=location, timeout=scratch.seconds)
    try:
        scratch.client.get_job(job_id, timeout=scratch.seconds)
    except NotFound:
        return f"a job in {location} is found only with its location"
    return f"a job in {location} is found without its location too"


def failed_statement(scratch: ScratchTables) -> str:
    """Run a script whose third line fails: its error should end with that line and a column."""
    table = scratch.table("place")
    scratch.run(f"CREATE OR REPLACE TABLE {table} (a INT64 NOT NULL)")
    insert = f"INSERT INTO {table} (a) SELECT CAST"
    try:
        scratch.run(
            f"BEGIN TRANSACTION;\n{insert}('1' AS INT64);\n{insert}(NULL AS INT64);\n"
            "COMMIT TRANSACTION;"
        )
    except GoogleAPICallError as error:
        if " at [3:" in str(error):
            return "the error names the statement: only its table's transactions are searched"
        return f"a batch is searched whole, as the error names no statement: {_refusal(error)}"
    raise CheckFailed("a NULL was committed in a NOT NULL column")


PROBES: dict[str, Callable[[ScratchTables], str]] = {
    "ASSERT in a transaction": assert_in_transaction,
    "RAISE in a transaction": raise_in_transaction,
    "two head updates": conflict_of_two_heads,
    "guard": guard_plan_and_bytes,
    "INSERT": insert_bytes,
    "MERGE": merge_plan_and_bytes,
    "JSON 1.0": json_number,
    "dropped column": dropped_column,
    "job's location": job_location,
    "failed statement": failed_statement,
}


def try_statements(settings: Settings, seconds: float) -> list[CheckResult]:
    """Run every probe, one after the other, and remove the scratch tables.

    `seconds` limits each statement. A probe that BigQuery refuses does not end the others.
    """
    with contextlib.closing(clients.warehouse(settings)) as client:
        scratch = ScratchTables(
            client,
            settings.dataset_path,
            settings.bigquery_emulator_host is not None,
            seconds,
            f"gatekeeper_try_{uuid.uuid4().hex[:8]}_",
        )
        try:
            client.get_dataset(scratch.dataset, timeout=seconds)
        except CALL_ERRORS as error:
            failed = warehouse_checks.explained(error, settings, seconds)
            return [CheckResult("dataset", "wrong", str(failed), failed.remedy)]
        try:
            results = [_tried(name, probe, scratch) for name, probe in PROBES.items()]
        finally:
            removed = _tried("scratch tables", _remove, scratch)
    return [*results, removed]


def _remove(scratch: ScratchTables) -> str:
    scratch.remove()
    return f"removed {scratch.dataset}.{scratch.prefix}*"


def _tried(name: str, probe: Callable[[ScratchTables], str], scratch: ScratchTables) -> CheckResult:
    began = time.monotonic()
    try:
        seen = probe(scratch)
    except CheckSkipped as reason:
        return CheckResult(name, "skipped", str(reason))
    except CheckFailed as failed:
        return CheckResult(name, "wrong", str(failed), failed.remedy)
    except CALL_ERRORS as error:
        if scratch.local:  # it is no BigQuery: what it lacks is no fault of the set-up
            return CheckResult(name, "skipped", f"the local BigQuery cannot: {_refusal(error)}")
        return CheckResult(name, "wrong", f"refused: {_refusal(error)}")
    return CheckResult(name, "ok", f"{seen} ({time.monotonic() - began:.1f} s)")
