import pytest

from ops.rig.strict_bigquery.billed_bytes import (
    MINIMUM_BYTES,
    Partitioning,
    TableShape,
    TableSizes,
    billed,
)
from ops.rig.strict_bigquery.parsed_script import parse
from ops.rig.strict_bigquery.partition_bounds import Bounds

GB = 10**9
DAY = 86_400
NOW = 1_000 * DAY + 3_600.0
SHAPE = TableShape({"n": "INT64", "m": "INT64", "day": "TIMESTAMP", "at": "DATETIME"})
PARTED = SHAPE._replace(partitioning=Partitioning("day"))


def sizes(gigabytes: float = 1, partitions: int = 10) -> TableSizes:
    return TableSizes(gigabytes * GB, partitions, clock=lambda: NOW)


def bill(sql: str, shape: TableShape = SHAPE, **parameters: str) -> dict[str, float]:
    """Return the bytes billed, in GB, by table."""
    (statement,) = parse(sql, "p.d")
    found = billed(statement, dict.fromkeys(statement.tables, shape), sizes(), parameters)
    return {name.removeprefix("p.d."): size / GB for name, size in found.items()}


def test_at_least_10_mb_are_billed_for_each_table_that_a_statement_names() -> None:
    assert bill("INSERT INTO t (n) VALUES (1)") == {"t": MINIMUM_BYTES / GB}
    sql = "SELECT epoch FROM gatekeeper_lane_01, gatekeeper_ledger_01"
    assert bill(sql) == {
        "gatekeeper_lane_01": MINIMUM_BYTES / GB,
        "gatekeeper_ledger_01": MINIMUM_BYTES / GB,
    }


@pytest.mark.parametrize(
    ("sql", "gigabytes"),
    [
        ("SELECT n FROM t", 0.25),
        ("SELECT * FROM t", 1),
        ("DELETE FROM t WHERE n = 1", 1.25),
        ("UPDATE t SET n = 1 WHERE m = 2", 1.5),
        ("MERGE t USING (SELECT 1 AS k) s ON t.n = s.k WHEN MATCHED THEN DELETE", 1.25),
        (
            (
                "MERGE t USING (SELECT 1 AS k) s ON t.n = s.k WHEN MATCHED THEN DELETE "
                "WHEN NOT MATCHED THEN INSERT (n, m) VALUES (s.k, 2)"
            ),
            1.25,
        ),
        (
            (
                "MERGE t USING (SELECT 1 AS k) s ON t.n = s.k WHEN NOT MATCHED THEN INSERT (n) "
                "VALUES (1)"
            ),
            0.01,
        ),
    ],
)
def test_a_statement_bills_what_it_reads_and_a_mutation_the_whole_table_too(
    sql: str, gigabytes: float
) -> None:
    assert bill(sql)["t"] == pytest.approx(gigabytes, abs=0.002)


def test_constant_bounds_on_the_partition_column_leave_out_partitions() -> None:
    since = "1972-09-26 00:00:00"  # the last two of ten days
    sql = "DELETE FROM t WHERE n = 1 AND day >= CAST(@since AS TIMESTAMP)"
    assert bill(sql, PARTED, since=since)["t"] == pytest.approx(0.2 * 1.5, abs=0.002)
    assert bill(sql, SHAPE, since=since)["t"] == pytest.approx(1.5, abs=0.002)


def test_what_was_inserted_is_in_the_partition_of_its_time() -> None:
    now = NOW
    own = TableSizes(clock=lambda: now)
    own.insert("p.d.t", GB)
    now += DAY
    own.insert("p.d.t", GB)
    assert own.size("p.d.t", SHAPE, Bounds(low=now)) == 2 * GB
    assert own.size("p.d.t", PARTED, Bounds(low=now)) == GB
    assert own.size("p.d.t", PARTED, Bounds(high=now - DAY)) == GB


def test_a_statement_that_cannot_be_read_bills_nothing() -> None:
    assert bill("CALL something()") == {}
