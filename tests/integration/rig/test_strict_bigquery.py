"""A client of the strict BigQuery in front of the embedded one: each rule as documented."""

import json
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery

from ops.rig import Service, free_port
from tests.support.bigquery_client import connect

DATASET = "gatekeeper-local.gatekeeper"
ONCE = Retry(predicate=if_exception_type())
QUICK = ("--job-seconds", "0", "--statement-seconds", "0")
# A refused job is 429 when the answer to its start says so, and 403 when a later look-up does:
# google-cloud-bigquery has its own table for the first, BigQuery's status is the second.
RATE_LIMITED = (exceptions.TooManyRequests, exceptions.Forbidden)


@dataclass
class Strict:
    """One strict BigQuery and its client."""

    address: str
    client: bigquery.Client

    def run(
        self,
        sql: str,
        job_id: str | None = None,
        location: str | None = None,
        timeout_ms: int | None = None,
        **texts: str,
    ) -> list[tuple[Any, ...]]:
        """Run a script, sent once, and return its rows."""
        config = bigquery.QueryJobConfig(
            default_dataset=DATASET,
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", text) for name, text in texts.items()
            ],
        )
        if timeout_ms is not None:
            config.job_timeout_ms = timeout_ms
        job = self.client.query(
            sql, config, job_id=job_id, location=location, retry=ONCE, job_retry=None, timeout=30
        )
        return [row.values() for row in job.result(retry=ONCE, job_retry=None, timeout=30)]

    def report(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.address}/_strict/report") as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def refusals(self, rule: str) -> int:
        found = self.report()["refusals"].get(rule, {"count": 0})
        assert found["count"] == 0 or found["source"].startswith("https://")
        return int(found["count"])

    def reset(self) -> None:
        request = urllib.request.Request(f"http://{self.address}/_strict/report", method="DELETE")
        urllib.request.urlopen(request).close()


type Start = Callable[..., Strict]


@pytest.fixture(scope="module")
def start(local_bigquery: str) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(*options: str) -> Strict:
            address = f"127.0.0.1:{free_port()}"
            words = (address, "--upstream", local_bigquery, *options)
            service = stack.enter_context(Service.module("ops.rig.strict_bigquery", *words))
            service.wait_for_port(address, 30)
            return Strict(address, stack.enter_context(connect(address)))

        yield started


@pytest.fixture(scope="module")
def strict(start: Start) -> Strict:
    """In the US, without latency; statements are counted in a window that no test outlives."""
    return start(*QUICK, "--window-seconds", "3600")


@pytest.fixture(scope="module")
def slow(start: Start) -> Strict:
    """In the US, with some latency, any number of statements."""
    return start("--job-seconds", "0.5", "--statement-seconds", "0.3", "--off", "dml_rate")


@pytest.fixture
def table(local_bigquery: str) -> str:
    """A table of this test alone, made past the strict BigQuery."""
    name = f"t{uuid.uuid4().hex[:10]}"
    with connect(local_bigquery) as client:
        client.query(
            f"CREATE TABLE `{DATASET}.{name}` (n INT64, x NUMERIC, s STRING, at TIMESTAMP)"
        ).result()
    return name


def test_rows_pass_in_both_directions(strict: Strict, table: str) -> None:
    strict.run(f"INSERT INTO `{table}` (n, s) VALUES (1, @s)", s="ä")
    assert strict.run(f"SELECT n, s FROM `{table}`") == [(1, "ä")]
    assert [
        row.values() for row in strict.client.query_and_wait(f"SELECT s FROM {DATASET}.{table}")
    ]


def test_outside_the_multi_regions_a_job_is_found_only_with_its_location(
    start: Start, table: str
) -> None:
    zurich = start(*QUICK, "--location", "europe-west6")
    assert zurich.client.get_dataset(DATASET).location == "europe-west6"
    job_id = uuid.uuid4().hex
    zurich.run(f"INSERT INTO `{table}` (n) VALUES (1)", job_id)
    with pytest.raises(exceptions.NotFound):
        zurich.client.get_job(job_id, retry=ONCE)
    with pytest.raises(exceptions.NotFound):
        zurich.client.cancel_job(job_id, retry=ONCE)
    found = zurich.client.get_job(job_id, location="europe-west6", retry=ONCE)
    assert found.state == "DONE"
    assert found.location == "europe-west6"
    assert zurich.refusals("location") == 2
    with pytest.raises(exceptions.NotFound, match="was not found in location EU"):
        zurich.run("SELECT 1", location="EU")


def test_a_job_is_not_found_once_after_its_duplicate(strict: Strict, table: str) -> None:
    job_id = uuid.uuid4().hex
    sql = f"INSERT INTO `{table}` (n) VALUES (1)"
    strict.run(sql, job_id)
    with pytest.raises(exceptions.Conflict):
        strict.client.query(sql, job_id=job_id, retry=ONCE, job_retry=None)
    with pytest.raises(exceptions.NotFound):
        strict.client.get_job(job_id, retry=ONCE)
    assert strict.client.get_job(job_id, retry=ONCE).state == "DONE"


def test_statements_of_a_script_take_their_time_one_after_the_other(
    slow: Strict, table: str
) -> None:
    began = time.monotonic()
    slow.run(
        f"BEGIN TRANSACTION; INSERT INTO `{table}` (n) VALUES (1); "
        f"UPDATE `{table}` SET n = 2 WHERE n = 1; COMMIT TRANSACTION;"
    )
    assert time.monotonic() - began >= 1.1
    assert slow.run(f"SELECT n FROM `{table}`") == [(2,)]


def test_the_26th_statement_on_a_table_in_ten_seconds_is_refused(
    strict: Strict, table: str
) -> None:
    strict.run(" ".join(f"INSERT INTO `{table}` (n) VALUES ({n});" for n in range(25)))
    with pytest.raises(RATE_LIMITED, match="too many DML statements") as refused:
        strict.run(f"INSERT INTO `{table}` (n) VALUES (26)")
    assert refused.value.errors[0]["reason"] == "rateLimitExceeded"
    assert strict.run(f"SELECT COUNT(*) FROM `{table}`") == [(25,)]


def test_the_6th_change_of_a_table_in_ten_seconds_is_refused(strict: Strict, table: str) -> None:
    strict.run(" ".join(f"ALTER TABLE `{table}` ADD COLUMN c{n} INT64;" for n in range(5)))
    with pytest.raises(RATE_LIMITED, match="too many table update operations"):
        strict.run(f"ALTER TABLE `{table}` ADD COLUMN c6 INT64")


def test_a_request_above_10_mb_and_a_script_above_1_mb_are_refused(
    strict: Strict, table: str
) -> None:
    sql = f"INSERT INTO `{table}` (s) VALUES (@s)"
    with pytest.raises(exceptions.BadRequest, match="10485760"):
        strict.run(sql, s="x" * 11_000_000)
    with pytest.raises(exceptions.GoogleAPICallError, match="Too Large") as vast:
        strict.run(sql, s="x" * 22_000_000)
    assert vast.value.code == 413
    with pytest.raises(exceptions.BadRequest, match="The query is too large"):
        strict.run(f"SELECT 1 /* {'x' * 1_100_000} */")
    # The client escapes what is not ASCII: six bytes for a letter of two.
    with pytest.raises(exceptions.BadRequest, match="10485760"):
        strict.run(sql, s="ж" * 2_000_000)


def test_values_that_lose_something_are_refused(strict: Strict, table: str) -> None:
    text = "SELECT JSON_VALUE_ARRAY(r) AS v FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r"
    rows = '[["1.5"]]'
    with pytest.raises(exceptions.BadRequest, match="has type STRING which cannot be inserted"):
        strict.run(f"INSERT INTO `{table}` (n) SELECT v[SAFE_OFFSET(0)] FROM ({text})", rows=rows)
    with pytest.raises(exceptions.BadRequest, match="type FLOAT64 cannot be assigned to x"):
        strict.run(f"UPDATE `{table}` SET x = CAST(s AS FLOAT64) WHERE TRUE")
    strict.run(
        f"INSERT INTO `{table}` (x, s, n) "
        f"SELECT CAST(v[SAFE_OFFSET(0)] AS NUMERIC), v[SAFE_OFFSET(0)], NULL FROM ({text})",
        rows=rows,
    )
    strict.run(f"INSERT INTO `{table}` (at) VALUES (@at)", at="2026-01-01 00:00:00+00")
    assert strict.run(f"SELECT COUNT(*) FROM `{table}`") == [(2,)]


def test_a_table_replaced_under_a_client_refuses_what_no_longer_fits(
    strict: Strict, table: str, local_bigquery: str
) -> None:
    sql = f"INSERT INTO `{table}` (x) SELECT CAST(@x AS NUMERIC)"
    strict.run(sql, x="1.25")
    with connect(local_bigquery) as client:
        client.query(f"CREATE OR REPLACE TABLE `{DATASET}.{table}` (x INT64)").result()
    with pytest.raises(exceptions.BadRequest, match="column x, which has type INT64"):
        strict.run(sql, x="1.25")


def test_of_two_transactions_that_mutate_a_table_one_is_cancelled_and_inserts_are_not(
    slow: Strict, table: str
) -> None:
    slow.run(f"INSERT INTO `{table}` (n) VALUES (1)")

    def outcome(statement: str) -> str:
        try:
            slow.run(f"BEGIN TRANSACTION; {statement}; COMMIT TRANSACTION;")
        except exceptions.BadRequest as error:
            return str(error.errors[0]["message"])
        return ""

    with ThreadPoolExecutor(4) as pool:
        updates = list(pool.map(outcome, [f"UPDATE `{table}` SET n = n + 1 WHERE TRUE"] * 2))
        inserts = list(pool.map(outcome, [f"INSERT INTO `{table}` (n) VALUES (9)"] * 4))
    assert min(updates) == ""
    assert "Transaction is aborted due to concurrent update" in max(updates)
    assert inserts == [""] * 4
    assert slow.run(f"SELECT COUNTIF(n = 2), COUNTIF(n = 9) FROM `{table}`") == [(1, 4)]


def test_mutations_outside_transactions_wait_for_one_another_up_to_20(
    slow: Strict, table: str
) -> None:
    slow.run(f"INSERT INTO `{table}` (n) VALUES (0)")

    def outcome(_: int) -> str:
        try:
            slow.run(f"UPDATE `{table}` SET n = n + 1 WHERE TRUE")
        except exceptions.BadRequest as error:
            return str(error.errors[0]["reason"])
        return ""

    with ThreadPoolExecutor(26) as pool:
        outcomes = list(pool.map(outcome, range(26)))
    assert outcomes.count("resourcesExceeded") == 5
    assert slow.run(f"SELECT n FROM `{table}`") == [(21,)]


def test_a_transaction_changes_no_more_than_100_tables(strict: Strict) -> None:
    inserts = " ".join(f"INSERT INTO `many_{n}` (n) VALUES (1);" for n in range(101))
    with pytest.raises(exceptions.BadRequest, match="more than 100 tables"):
        strict.run(f"BEGIN TRANSACTION; {inserts} COMMIT TRANSACTION;")


def test_a_job_ends_at_its_time_limit_unless_that_is_ignored(
    start: Start, slow: Strict, table: str
) -> None:
    sql = f"INSERT INTO `{table}` (n) VALUES (1)"
    with pytest.raises(exceptions.GoogleAPICallError, match="timed out after"):
        slow.run(sql, timeout_ms=200)
    assert slow.run(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]
    deaf = start("--job-seconds", "0.6", "--statement-seconds", "0", "--off", "job_timeout")
    deaf.run(sql, timeout_ms=200)
    assert deaf.run(f"SELECT COUNT(*) FROM `{table}`") == [(1,)]


def test_a_late_job_commits_after_it_was_cancelled(start: Start, table: str) -> None:
    late = start(*QUICK, "--late-share", "1", "--late-seconds", "1")
    job = late.client.query(f"INSERT INTO `{DATASET}.{table}` (n) VALUES (1)", retry=ONCE)
    job.cancel(retry=ONCE)
    job.result(retry=ONCE, job_retry=None)
    assert late.run(f"SELECT COUNT(*) FROM `{table}`") == [(1,)]


def test_a_cancelled_job_changes_nothing(slow: Strict, table: str) -> None:
    job = slow.client.query(f"INSERT INTO `{DATASET}.{table}` (n) VALUES (1)", retry=ONCE)
    job.cancel(retry=ONCE)
    with pytest.raises(exceptions.GoogleAPICallError, match="cancelled"):
        job.result(retry=ONCE, job_retry=None)
    assert slow.run(f"SELECT COUNT(*) FROM `{table}`") == [(0,)]


def test_the_report_sums_bytes_and_dollars(start: Start, table: str, local_bigquery: str) -> None:
    parted = f"{table}_parted"
    with connect(local_bigquery) as client:
        client.query(
            f"CREATE TABLE `{DATASET}.{parted}` (n INT64, day TIMESTAMP) PARTITION BY DATE(day)"
        ).result()
    billing = start(*QUICK, "--table-gb", "1", "--partitions", "10")
    billing.run(f"INSERT INTO `{table}` (n) VALUES (1)")
    billing.run(f"DELETE FROM `{table}` WHERE n = 1")
    billing.run(f"DELETE FROM `{parted}` WHERE n = 1 AND day >= CURRENT_TIMESTAMP()")
    since = time.strftime("%Y-%m-%d 00:00:00", time.gmtime())
    billing.run(
        f"DELETE FROM `{parted}` WHERE n = 1 AND day >= CAST(@since AS TIMESTAMP)", since=since
    )
    tables = billing.report()["tables"]
    assert tables[f"{DATASET}.{table}"]["INSERT"]["bytes"] == 10 * 2**20
    assert 1e9 < tables[f"{DATASET}.{table}"]["DELETE"]["bytes"] < 1.3e9
    assert 1.5e9 + 1.5e8 < tables[f"{DATASET}.{parted}"]["DELETE"]["bytes"] < 2.3e9
    assert billing.report()["dollars"] == pytest.approx(
        billing.report()["bytes_billed"]["total"] / 2**40 * 6.25
    )
    billing.reset()
    assert billing.report()["bytes_billed"]["total"] == 0


def test_alone_it_serves_a_worker_without_storage() -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        Service.module("ops.rig.strict_bigquery", address, "--alone", *QUICK) as service,
        connect(address) as client,
    ):
        service.wait_for_port(address, 30)
        alone = Strict(address, client)
        assert client.get_table(f"{DATASET}.anything").schema
        head = f"{DATASET}.gatekeeper_lane_03"
        commit = (
            f"BEGIN TRANSACTION; UPDATE `{head}` SET epoch = epoch + 1 "
            "WHERE epoch = CAST(@epoch AS INT64); ASSERT @@row_count = 1 AS 'fenced'; "
            "COMMIT TRANSACTION;"
        )
        alone.run(commit, epoch="0")
        assert alone.run(f"SELECT h.epoch, h.lanes FROM `{head}` AS h") == [(1, 32)]
        with pytest.raises(exceptions.BadRequest, match="fenced"):
            alone.run(commit, epoch="0")
