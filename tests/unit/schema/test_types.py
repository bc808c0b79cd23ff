import pytest

from schema.types import UnknownType, canonical, parse_type

NAMES = {
    "STRING": "TEXT CHAR(1) VARCHAR(255) STRING UUID ENUM",
    "INT64": "INTEGER INT BIGINT SMALLINT TINYINT INT64",
    "FLOAT64": "FLOAT DOUBLE REAL FLOAT64",
    "BOOL": "BOOLEAN BOOL",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "DATETIME",
    "TIMESTAMP": "TIMESTAMP TIMESTAMPTZ",
    "JSON": "JSON JSONB",
    "BYTES": "BYTES BLOB BYTEA BINARY(16) VARBINARY(16)",
    "NUMERIC": "DECIMAL NUMERIC",
}


@pytest.mark.parametrize(
    ("text", "bigquery"),
    [(name, bigquery) for bigquery, names in NAMES.items() for name in names.split()],
)
def test_a_source_type_becomes_its_bigquery_type(text: str, bigquery: str) -> None:
    ctype = parse_type(text)
    assert (ctype.bigquery, ctype.base) == (bigquery, bigquery)
    assert parse_type(text.lower()) == ctype


@pytest.mark.parametrize(
    ("text", "bigquery"),
    [
        ("double precision", "FLOAT64"),
        (" DOUBLE \t PRECISION ", "FLOAT64"),
        ("decimal( 10 , 2 )", "NUMERIC(10,2)"),
        ("Decimal (10,2)", "NUMERIC(10,2)"),
        ("varchar ( 255 ) ", "STRING"),
        ("\nint\n", "INT64"),
        ("VARCHAR(007)", "STRING"),
    ],
)
def test_case_and_spaces_do_not_matter(text: str, bigquery: str) -> None:
    assert parse_type(text).bigquery == bigquery


@pytest.mark.parametrize(
    ("text", "bigquery", "precision", "scale"),
    [
        ("DECIMAL", "NUMERIC", 38, 9),
        ("NUMERIC(10)", "NUMERIC(10,0)", 10, 0),
        ("NUMERIC(1,1)", "NUMERIC(1,1)", 1, 1),
        ("DECIMAL(29)", "NUMERIC(29,0)", 29, 0),
        ("DECIMAL(30)", "BIGNUMERIC(30,0)", 30, 0),
        ("DECIMAL(38)", "BIGNUMERIC(38,0)", 38, 0),
        ("DECIMAL(38,9)", "NUMERIC(38,9)", 38, 9),
        ("DECIMAL(38,8)", "BIGNUMERIC(38,8)", 38, 8),
        ("DECIMAL(10,10)", "BIGNUMERIC(10,10)", 10, 10),
        ("NUMERIC(20,15)", "BIGNUMERIC(20,15)", 20, 15),
        ("DECIMAL(76,38)", "BIGNUMERIC(76,38)", 76, 38),
    ],
)
def test_a_decimal_takes_the_narrowest_type_that_holds_it(
    text: str, bigquery: str, precision: int, scale: int
) -> None:
    ctype = parse_type(text)
    assert (ctype.bigquery, ctype.precision, ctype.scale) == (bigquery, precision, scale)
    assert ctype.base == bigquery.partition("(")[0]


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            "GEOMETRYX",
            "INT(11)",
            "INT()",
            "TEXT(10)",
            "TIMESTAMP(6)",
            "BOOL(1)",
            "JSON(1)",
        ],
        *["CHAR", "VARCHAR", "BINARY", "VARBINARY", "VARCHAR()", "VARCHAR(0)", "VARCHAR(1,2)"],
        *["VARCHAR(-1)", "VARCHAR(x)", "VARCHAR(MAX)", "VARCHAR(1.5)", "VARCHAR(\u0663)"],
        *["VARCHAR(255", "VARCHAR 255", "VARCHAR)255(", "VARCHAR(255))", "VARCHAR(255)x"],
        *["DECIMAL(0)", "DECIMAL(2,3)", "DECIMAL(39)", "DECIMAL(77,38)", "DECIMAL(40,39)"],
        *["DECIMAL()", "DECIMAL(,2)", "DECIMAL(5,)", "DECIMAL(5,2,1)", "DECIMAL(5 2)"],
        *["DOUBLEPRECISION", "PRECISION", "DOUBLE PRECISION(5)", "FLOAT64; DROP TABLE x", "INT\0"],
        *["\u0131nt", "INTEGER UNSIGNED", "STRUCT<a INT64>", "ARRAY<INT64>", "INT, TEXT", "(5)"],
        *["INT" + " " * 98, "DECIMAL(" + "9" * 5000 + ")"],
    ],
)
def test_any_other_type_is_unknown(text: str) -> None:
    with pytest.raises(UnknownType, match=r"\w+"):
        parse_type(text)


def test_an_unknown_type_is_told_what_is_known() -> None:
    with pytest.raises(UnknownType, match=r"GEOMETRYX .* TEXT, .*VARCHAR\(n\).*DECIMAL\(p,s\)"):
        parse_type("geometryx")


def test_types_are_equal_when_bigquery_has_one_type_for_both() -> None:
    assert parse_type("TEXT") == parse_type("VARCHAR(10)") == parse_type("char(3)")
    assert hash(parse_type("TEXT")) == hash(parse_type("VARCHAR(10)"))
    assert parse_type("DECIMAL(10)") == parse_type("NUMERIC(10,0)")
    assert parse_type("DECIMAL") != parse_type("DECIMAL(38,9)")
    assert parse_type("DATETIME") != parse_type("TIMESTAMP")


@pytest.mark.parametrize("text", [name for names in NAMES.values() for name in names.split()])
def test_null_is_valid_for_every_type(text: str) -> None:
    assert canonical(None, parse_type(text)) is None
