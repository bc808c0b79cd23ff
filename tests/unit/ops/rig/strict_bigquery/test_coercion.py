import pytest

from ops.rig.strict_bigquery import coercion
from ops.rig.strict_bigquery.parsed_script import parse
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.value_types import TypeReader, ValueType

TYPES = {"n": "INT64", "x": "NUMERIC", "f": "FLOAT64", "s": "STRING", "at": "TIMESTAMP"}


def check(sql: str, **parameters: str) -> None:
    (statement,) = parse(sql, "p.d")
    reader = TypeReader(parameters, lambda table: TYPES if table.name == "t" else None)
    coercion.check(statement, TYPES, reader)


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("INT64", "NUMERIC"),
        ("INT64", "BIGNUMERIC"),
        ("INT64", "FLOAT64"),
        ("NUMERIC", "BIGNUMERIC"),
        ("NUMERIC", "FLOAT64"),
        ("BIGNUMERIC", "FLOAT64"),
        ("DATE", "DATETIME"),
        ("NULL", "JSON"),
        ("JSON", "JSON"),
    ],
)
def test_what_loses_nothing_coerces(value: str, column: str) -> None:
    assert coercion.coerces(ValueType(value), column)


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("NUMERIC", "INT64"),
        ("FLOAT64", "NUMERIC"),
        ("BIGNUMERIC", "NUMERIC"),
        ("STRING", "INT64"),
        ("STRING", "TIMESTAMP"),
        ("INT64", "STRING"),
        ("TIMESTAMP", "DATE"),
        ("DATETIME", "TIMESTAMP"),
        ("BOOL", "INT64"),
    ],
)
def test_what_may_lose_something_does_not(value: str, column: str) -> None:
    assert not coercion.coerces(ValueType(value), column)


def test_literals_and_parameters_coerce_to_times() -> None:
    assert coercion.coerces(ValueType("STRING", literal=True), "DATE")
    assert coercion.coerces(ValueType("STRING", parameter=True), "TIMESTAMP")
    assert coercion.coerces(ValueType("FLOAT64", literal=True), "NUMERIC")
    assert not coercion.coerces(ValueType("STRING", literal=True), "INT64")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (n, s) VALUES (1, 'a'), (NULL, @p)",
        "INSERT INTO t (f, x) SELECT n, n FROM t",
        "INSERT INTO t SELECT 1, 1.5, 2, 'a', '2020-01-01 00:00:00'",
        "INSERT INTO t (at) SELECT @p",
        "INSERT INTO t (n) SELECT unknown_function()",
        "INSERT INTO t (n, s) SELECT * FROM u",
        "UPDATE t SET f = n, s = CAST(n AS STRING) WHERE TRUE",
        (
            "MERGE t USING (SELECT CAST(@p AS INT64) AS k) AS s ON t.n = s.k "
            "WHEN MATCHED THEN UPDATE SET x = s.k "
            "WHEN NOT MATCHED THEN INSERT (n, f) VALUES (s.k, 1)"
        ),
        "DELETE FROM t WHERE n = 1",
    ],
)
def test_a_statement_whose_values_coerce_passes(sql: str) -> None:
    check(sql, p="STRING")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        (
            "INSERT INTO t (s, n) VALUES ('a', 1), ('b', 'c')",
            (
                "Query column 2 has type STRING which cannot be inserted into column n, "
                "which has type INT64"
            ),
        ),
        ("INSERT INTO t (n) SELECT x FROM t", "has type NUMERIC which cannot be inserted"),
        ("INSERT INTO t (x) SELECT a FROM (SELECT f AS a FROM t)", "type FLOAT64"),
        ("INSERT INTO t SELECT x FROM t", "column n, which has type INT64"),
        (
            "UPDATE t SET n = x WHERE TRUE",
            "Value of type NUMERIC cannot be assigned to n, which has type INT64",
        ),
        (
            (
                "MERGE t USING (SELECT TRUE AS gone, NULL AS c UNION ALL SELECT FALSE, @p) AS s "
                "ON s.gone WHEN NOT MATCHED THEN INSERT (n) VALUES (s.c)"
            ),
            "Value of type STRING cannot be assigned to n",
        ),
        (
            (
                "MERGE t USING (SELECT CAST(@p AS NUMERIC) AS k) AS s ON FALSE "
                "WHEN MATCHED THEN UPDATE SET n = s.k"
            ),
            "Value of type NUMERIC cannot be assigned to n",
        ),
    ],
)
def test_a_statement_that_may_lose_something_is_refused(sql: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        check(sql, p="STRING")
    assert text in refused.value.message
    assert refused.value.reason == "invalidQuery"
