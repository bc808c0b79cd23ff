"""Every type into every column, in each statement that writes."""

import itertools
from typing import Any

import pytest
from local_bigquery.catalog import tables
from local_bigquery.errors import BigQueryError
from local_bigquery.models import TableFieldSchema
from local_bigquery.sql.translate import Context, parse
from sqlglot import exp

from ops.local.bigquery import assignments, coercions

TYPES = ["INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "BOOL", "STRING", "BYTES", "DATE", "DATETIME",
         "TIME", "TIMESTAMP", "JSON"]  # fmt: skip
_SOURCE = "MERGE INTO target AS t USING source AS s"
_AS_A = "MERGE INTO target AS t USING (SELECT {of} AS `A` FROM source) AS `S`"
_UNION = "(SELECT NULL AS a FROM source UNION ALL SELECT {of} FROM source)"
FULLY = [
    "INSERT INTO target ({to}) SELECT {of} FROM source",
    "UPDATE target SET {to} = s.{of} FROM source AS s WHERE TRUE",
    _SOURCE + " ON FALSE WHEN NOT MATCHED THEN INSERT ({to}) VALUES (s.{of})",
]
STATEMENTS = [
    *FULLY,
    "INSERT INTO target ({to}) SELECT s.{of} FROM source AS s WHERE s.{of} IS NOT NULL",
    "INSERT INTO target ({to}) SELECT {of} FROM source UNION ALL SELECT NULL",
    "INSERT INTO target ({to}) WITH w AS (SELECT {of} AS x FROM source) SELECT x FROM w",
    "INSERT INTO target ({to}) SELECT x.{of} FROM (SELECT * FROM source) AS x",
    "INSERT INTO target ({to}) VALUES (NULL), ((SELECT {of} FROM source LIMIT 1))",
    "INSERT INTO narrow_{to} SELECT {of} FROM source",
    "INSERT INTO narrow_{to} SELECT * FROM narrow_{of}",
    "UPDATE target SET {to} = (SELECT {of} FROM source) WHERE TRUE",
    _SOURCE + " ON TRUE WHEN MATCHED THEN UPDATE SET {to} = s.{of}",
    _AS_A + " ON FALSE WHEN NOT MATCHED THEN INSERT ({to}) VALUES (a)",
    _AS_A + " ON FALSE WHEN MATCHED THEN UPDATE SET {to} = IF(s.a IS NULL, t.{of}, s.A)",
    "MERGE INTO target AS t USING " + _UNION + " AS s ON FALSE WHEN NOT MATCHED THEN "
    "INSERT ({to}) VALUES (s.a)",
    "MERGE narrow_{to} AS t USING narrow_{of} AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW",
]
FEW_TYPES = ["INT64", "NUMERIC", "FLOAT64", "STRING", "DATE", "TIMESTAMP"]


def fields(name: str) -> list[TableFieldSchema]:
    kinds = [name.removeprefix("narrow_")] if name.startswith("narrow_") else TYPES
    legacy = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
    return [TableFieldSchema(name=f"c_{each}", type=legacy.get(each, each)) for each in kinds]


@pytest.fixture(autouse=True)
def _tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every table a column of each type; `narrow_X` has the one of the type X."""
    for module, name in ((tables, "columns"), (assignments, "reported_columns")):
        monkeypatch.setattr(module, name, lambda _project, _dataset, table: fields(table))


def refusal(sql: str, **texts: str) -> str | None:
    context = Context("p", "d", parameters={name: f"CAST(${name} AS VARCHAR)" for name in texts})
    (tree,) = parse(sql)
    before = tree.copy()
    try:
        assignments.refuse_lossy_assignments(tree, context)
    except BigQueryError as error:
        return str(error.message)
    assert tree == before
    return None


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_value_is_written_only_into_a_column_that_it_coerces_to(statement: str) -> None:
    for of, to in itertools.product(TYPES, TYPES):
        sql = statement.replace("narrow_{to}", f"narrow_{to}").replace(
            "narrow_{of}", f"narrow_{of}"
        )
        found = refusal(sql.format(of=f"c_{of}", to=f"c_{to}"))
        column: Any = exp.column("x")
        column.type = exp.DataType.build(of, dialect="bigquery")
        allowed = coercions.coerces(column, exp.DataType.build(to, dialect="bigquery"))
        if allowed:
            assert found is None, (of, to)
        else:
            assert found == (
                f"Query column 1 has type {of} which cannot be inserted into column c_{to}, "
                f"which has type {to}"
            )


ROWS = "(SELECT JSON_VALUE_ARRAY(r) AS v FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS r)"


@pytest.mark.parametrize(("of", "to"), [*itertools.product(TYPES, TYPES)])
def test_rows_of_a_parameter_are_checked_by_their_casts(of: str, to: str) -> None:
    typed = {"STRING": "v[SAFE_OFFSET(0)]", "BYTES": "FROM_BASE64(v[SAFE_OFFSET(0)])"}
    value = typed.get(of, f"CAST(v[SAFE_OFFSET(0)] AS {of})")
    if of == "JSON":
        return  # PARSE_JSON is a macro, whose type is not known
    insert = f"INSERT INTO target (c_{to}) SELECT {value} FROM {ROWS}"
    merge = (
        f"MERGE INTO target AS t USING (SELECT TRUE AS gone, NULL AS c0 FROM {ROWS} UNION ALL "
        f"SELECT FALSE, {value} FROM {ROWS}) AS s ON s.gone WHEN MATCHED THEN DELETE "
        f"WHEN NOT MATCHED AND NOT s.gone THEN INSERT (c_{to}) VALUES (s.c0)"
    )
    column: Any = exp.column("x")
    column.type = exp.DataType.build(of, dialect="bigquery")
    allowed = coercions.coerces(column, exp.DataType.build(to, dialect="bigquery"))
    for sql in (insert, merge):
        assert (refusal(sql, rows="[]") is None) == allowed, sql


def test_what_has_no_known_type_is_left_to_duckdb() -> None:
    assert refusal("INSERT INTO target (c_JSON) SELECT PARSE_JSON('1')") is None
    assert refusal("UPDATE target SET c_INT64 = DEFAULT WHERE TRUE") is None
    assert refusal("INSERT INTO target (c_INT64) SELECT no_such_function(1)") is None
    assert refusal("INSERT INTO target (no_such_column) SELECT 1.5") is None


def test_literals_and_parameters_are_more_than_their_types() -> None:
    assert refusal("INSERT INTO target (c_DATE) VALUES ('2024-05-06')") is None
    assert refusal("INSERT INTO target (c_DATE) VALUES (@d)", d="2024-05-06") is None
    assert refusal("INSERT INTO target (c_NUMERIC) VALUES (1.5)") is None
    assert refusal("INSERT INTO target (c_INT64) VALUES (1.5)")
    assert refusal("INSERT INTO target (c_INT64) VALUES ('7')")
    assert refusal("INSERT INTO target (c_INT64) VALUES (@d)", d="7")
    assert refusal("INSERT INTO target (c_DATE) VALUES (CURRENT_TIMESTAMP())")
