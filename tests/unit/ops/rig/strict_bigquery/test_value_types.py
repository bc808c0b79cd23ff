import pytest
from sqlglot import exp, parse_one

from ops.rig.strict_bigquery.value_types import TypeReader, ValueType, bare

TABLES = {"t": {"n": "INT64", "x": "NUMERIC", "s": "STRING"}, "u": {"f": "FLOAT64", "n": "DATE"}}
READER = TypeReader({"p": "STRING", "q": "INT64"}, lambda table: TABLES.get(table.name))
TEXTS = "(SELECT JSON_VALUE_ARRAY(r) AS v FROM UNNEST(JSON_QUERY_ARRAY(@p)) AS r)"


def types(sql: str) -> list[str | None]:
    found = READER.projected(parse_one(sql, dialect="bigquery"))
    assert found is not None
    return [value.name if value else None for _, value in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1", "INT64"),
        ("-1.5", "FLOAT64"),
        ("'a'", "STRING"),
        ("TRUE", "BOOL"),
        ("NULL", "NULL"),
        ("@p", "STRING"),
        ("@q", "INT64"),
        ("@unknown", None),
        ("CAST(@p AS NUMERIC(10, 2))", "NUMERIC"),
        ("SAFE_CAST(@p AS BIGNUMERIC)", "BIGNUMERIC"),
        ("PARSE_JSON(@p, wide_number_mode=>'round')", "JSON"),
        ("FROM_BASE64(@p)", "BYTES"),
        ("CURRENT_TIMESTAMP()", "TIMESTAMP"),
        ("IF(@q = 1, NULL, CAST(@p AS DATE))", "DATE"),
        ("IF(@q = 1, 1, CAST(@p AS NUMERIC))", "NUMERIC"),
        ("IF(@q = 1, 'a', 1)", None),
        ("COALESCE(NULL, @q)", "INT64"),
        ("@q + 1", "INT64"),
        ("some_function(1)", None),
    ],
)
def test_the_type_of_an_expression(expression: str, expected: str | None) -> None:
    assert types(f"SELECT {expression}") == [expected]


def test_columns_have_the_types_of_their_tables_and_queries() -> None:
    assert types("SELECT t.n, x, u.f, u.n, z FROM t JOIN u ON TRUE") == [
        "INT64",
        "NUMERIC",
        "FLOAT64",
        "DATE",
        None,
    ]
    assert types("SELECT w.a, b FROM (SELECT n AS a, s AS b FROM t) AS w") == ["INT64", "STRING"]


def test_elements_of_a_list_of_texts_are_texts() -> None:
    sql = f"SELECT v[SAFE_OFFSET(0)], CAST(v[SAFE_OFFSET(1)] AS INT64) FROM {TEXTS}"
    assert types(sql) == ["STRING", "INT64"]


def test_the_branches_of_a_union_have_one_type() -> None:
    assert types("SELECT 1 AS a, NULL AS b UNION ALL SELECT NULL, DATE '2020-01-01'") == [
        "INT64",
        "DATE",
    ]


def test_a_literal_in_a_subquery_is_no_longer_one() -> None:
    query = parse_one("SELECT a FROM (SELECT '2020-01-01' AS a)", dialect="bigquery")
    assert READER.projected(query) == [("a", ValueType("STRING"))]


def test_a_star_is_not_expanded() -> None:
    assert READER.projected(parse_one("SELECT * FROM t", dialect="bigquery")) is None
    assert isinstance(parse_one("SELECT COUNT(*) FROM t"), exp.Select)
    assert types("SELECT COUNT(*) FROM t") == ["INT64"]


def test_a_type_without_its_size() -> None:
    assert bare("numeric(10, 2)") == "NUMERIC"
