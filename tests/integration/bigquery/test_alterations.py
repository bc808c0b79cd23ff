"""What a table reports of its columns is what was declared last."""

from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound

from tests.integration.bigquery.conftest import DATASET, Emulator

TABLE = f"{DATASET}.altered"


@pytest.fixture
def table(emulator: Emulator) -> str:
    emulator.run(
        f"CREATE OR REPLACE TABLE `{TABLE}` (i INT64, n NUMERIC(10,2) NOT NULL, "
        "s STRING(5) OPTIONS (description = 'text'), b BIGNUMERIC(30,5), d DATE, bare NUMERIC, "
        "f FLOAT64 DEFAULT 2.5)"
    )
    emulator.run(f"INSERT INTO `{TABLE}` (i, n, s, d) VALUES (1, 1.25, 'abc', '2024-05-06')")
    return TABLE


def columns(emulator: Emulator, table: str = TABLE) -> dict[str, tuple[Any, ...]]:
    with emulator.client() as client:
        return {
            each.name: (
                each.field_type,
                *(each.precision, each.scale, each.max_length),
                *(each.default_value_expression, each.description, each.is_nullable),
            )
            for each in client.get_table(table).schema
        }


def of(kind: str, precision: int | None = None, scale: int | None = None) -> tuple[Any, ...]:
    return (kind, precision, scale, None, None, None, True)


ALTERATIONS: dict[str, dict[str, tuple[Any, ...] | None]] = {
    "ALTER COLUMN i SET DATA TYPE NUMERIC": {"i": of("NUMERIC")},
    "ALTER COLUMN i SET DATA TYPE FLOAT64": {"i": of("FLOAT")},
    "ALTER COLUMN n SET DATA TYPE NUMERIC(12,3)": {
        "n": ("NUMERIC", 12, 3, None, None, None, False)
    },
    "ALTER COLUMN n DROP NOT NULL": {"n": of("NUMERIC", 10, 2)},
    "ALTER COLUMN s SET DATA TYPE STRING(9)": {"s": ("STRING", None, None, 9, None, "text", True)},
    "ALTER COLUMN s SET DATA TYPE STRING": {"s": ("STRING", None, None, None, None, "text", True)},
    "RENAME COLUMN s TO S2": {
        "s": None,
        "S2": ("STRING", None, None, 5, None, "text", True),
    },
    "ALTER COLUMN d SET DATA TYPE DATETIME": {"d": of("DATETIME")},
    "ALTER COLUMN f DROP DEFAULT": {"f": of("FLOAT")},
    "ALTER COLUMN i SET DEFAULT 7": {"i": ("INTEGER", None, None, None, "7", None, True)},
    "ADD COLUMN a NUMERIC(6,2), ADD COLUMN t STRING(3)": {
        "a": of("NUMERIC", 6, 2),
        "t": ("STRING", None, None, 3, None, None, True),
    },
    "ADD COLUMN o INT64 OPTIONS (description = 'old'), ADD COLUMN p INT64": {
        "o": ("INTEGER", None, None, None, None, "old", True),
        "p": of("INTEGER"),
    },
    "ADD COLUMN IF NOT EXISTS bare NUMERIC(6,2)": {"bare": of("NUMERIC")},
    "DROP COLUMN b": {"b": None},
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_alteration_takes_effect_and_is_reported(
    emulator: Emulator, table: str, alteration: str
) -> None:
    before = columns(emulator)
    emulator.run(f"ALTER TABLE `{table}` {alteration}")
    changed = ALTERATIONS[alteration]
    expected = {**before, **changed}
    assert columns(emulator) == {name: each for name, each in expected.items() if each}
    assert emulator.rows(f"SELECT COUNT(*) FROM `{table}`") == [(1,)]


def test_a_column_that_is_dropped_and_added_is_a_new_one(emulator: Emulator, table: str) -> None:
    emulator.run(f"ALTER TABLE `{table}` DROP COLUMN s")
    emulator.run(f"ALTER TABLE `{table}` ADD COLUMN s STRING")
    assert columns(emulator)["s"] == of("STRING")


REFUSED = [
    "ALTER COLUMN i SET DATA TYPE STRING",
    "ALTER COLUMN f SET DATA TYPE INT64",
    "ALTER COLUMN n SET DATA TYPE NUMERIC(5,1)",
    "ALTER COLUMN n SET DATA TYPE INT64",
    "ALTER COLUMN b SET DATA TYPE NUMERIC",
    "ALTER COLUMN s SET DATA TYPE STRING(3)",
    "ALTER COLUMN i SET DATA TYPE NUMERIC(5,2)",
    "ALTER COLUMN nothing SET DATA TYPE NUMERIC",
    "RENAME TO gatekeeper.elsewhere",
]


@pytest.mark.parametrize("alteration", REFUSED)
def test_a_change_that_loses_something_is_refused(
    emulator: Emulator, table: str, alteration: str
) -> None:
    before = columns(emulator)
    with pytest.raises(BadRequest):
        emulator.run(f"ALTER TABLE `{table}` {alteration}")
    assert columns(emulator) == before


def test_a_renamed_table_has_its_rows_and_columns_under_its_new_name(
    emulator: Emulator, table: str
) -> None:
    before = columns(emulator)
    for old, new in (("altered", "Altered"), ("Altered", "renamed")):
        emulator.run(f"ALTER TABLE `{table.replace('altered', old)}` RENAME TO {new}")
        assert emulator.rows(f"SELECT i FROM `{DATASET}.{new}`") == [(1,)]
        assert columns(emulator, f"{DATASET}.{new}") == before
        with pytest.raises(NotFound):
            columns(emulator, f"{DATASET}.{old}")
    with pytest.raises(Conflict):
        emulator.run(f"CREATE TABLE `{DATASET}.renamed` (i INT64)")
    emulator.run(f"CREATE TABLE `{DATASET}.other` (i INT64)")
    with pytest.raises(Conflict):
        emulator.run(f"ALTER TABLE `{DATASET}.renamed` RENAME TO other")
    emulator.run(f"ALTER TABLE IF EXISTS `{DATASET}.nothing` RENAME TO anything")
    emulator.run(f"DROP TABLE `{DATASET}.renamed`; DROP TABLE `{DATASET}.other`")


_LONG = "d" * 300


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
        "SELECT " + "+".join("1" * 5_000),
        f"CREATE SCHEMA {_LONG}; CREATE TABLE {_LONG}.t AS SELECT 1 AS a",
    ],
)
def test_what_never_succeeds_is_a_permanent_error(emulator: Emulator, statement: str) -> None:
    with pytest.raises(BadRequest):
        emulator.run(statement)


ASSIGNED = {
    "INT64": "1.5",
    "NUMERIC": "CAST('2.5' AS FLOAT64)",
    "DATE": "TIMESTAMP '2024-05-06 23:59:59+00'",
    "BOOL": "1",
    "STRING": "7",
    "TIMESTAMP": "DATETIME '2024-05-06 00:00:00'",
    "BYTES": "'AA=='",
}


@pytest.mark.parametrize("kind", ASSIGNED)
def test_a_lossy_value_is_refused_and_nothing_is_written(emulator: Emulator, kind: str) -> None:
    name = f"{DATASET}.assigned_{kind}"
    emulator.run(f"CREATE TABLE `{name}` (v {kind}, other INT64)")
    emulator.run(f"INSERT INTO `{name}` (other) VALUES (1)")
    for statement in (
        f"INSERT INTO `{name}` (v) VALUES ({ASSIGNED[kind]})",
        f"INSERT INTO `{name}` (v) SELECT {ASSIGNED[kind]}",
        f"UPDATE `{name}` SET v = {ASSIGNED[kind]} WHERE other = 1",
    ):
        with pytest.raises(BadRequest, match="which has type"):
            emulator.run(statement)
    assert emulator.rows(f"SELECT v, other FROM `{name}`") == [(None, 1)]


def test_a_decimal_is_rounded_as_bigquery_rounds_it(emulator: Emulator) -> None:
    name = f"{DATASET}.rounded"
    emulator.run(f"CREATE TABLE `{name}` (v NUMERIC(10,1))")
    emulator.run(f"INSERT INTO `{name}` (v) SELECT CAST('2.55' AS NUMERIC)")
    assert [str(value) for (value,) in emulator.rows(f"SELECT v FROM `{name}`")] == ["2.6"]


@pytest.mark.parametrize("kind", ["BIGNUMERIC(38,0)", "BIGNUMERIC(30,5)", "BIGNUMERIC"])
def test_a_bignumeric_column_takes_a_bignumeric(emulator: Emulator, kind: str) -> None:
    name = f"{DATASET}.wide"
    emulator.run(f"CREATE OR REPLACE TABLE `{name}` (v {kind})")
    emulator.run(f"INSERT INTO `{name}` (v) SELECT CAST('7' AS BIGNUMERIC)")
    assert emulator.rows(f"SELECT COUNT(*) FROM `{name}`") == [(1,)]


def test_the_expiration_of_partitions_is_reported(emulator: Emulator) -> None:
    days = "OPTIONS (partition_expiration_days = {})"
    path = f"{DATASET}.expiring"
    emulator.run(f"CREATE TABLE `{path}` (d DATE) PARTITION BY d {days.format(1.5)}")
    with emulator.client() as client:
        assert client.get_table(path).time_partitioning.expiration_ms == 129_600_000
        emulator.run(f"ALTER TABLE `{path}` SET {days.format(2)}")
        changed = client.get_table(path).time_partitioning
        assert (changed.field, changed.type_) == ("d", "DAY")
        assert changed.expiration_ms == 172_800_000
