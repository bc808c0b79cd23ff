"""BigQuery's coercion rules: which types may be written into a column of another type.

https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules. A value whose type
does not coerce to the column's is an error; DuckDB casts it, and rounds or cuts it. A NUMERIC with
more decimals than its column is no error in BigQuery either: it is rounded,
https://cloud.google.com/bigquery/docs/reference/rest/v2/RoundingMode.
"""

from typing import Any

from sqlglot import exp

_T = exp.DataType.Type
_FAMILIES: dict[str, set[Any]] = {
    "INT64": exp.DataType.INTEGER_TYPES,
    "NUMERIC": {_T.DECIMAL},
    "BIGNUMERIC": {_T.BIGDECIMAL},
    "FLOAT64": {_T.DOUBLE, _T.FLOAT},
    "BOOL": {_T.BOOLEAN},
    "STRING": exp.DataType.TEXT_TYPES - {_T.UUID},
    "BYTES": {_T.BINARY, _T.VARBINARY},
    "DATE": {_T.DATE},
    "DATETIME": {_T.DATETIME, _T.TIMESTAMP},
    "TIME": {_T.TIME},
    "TIMESTAMP": {_T.TIMESTAMPTZ},
    "JSON": {_T.JSON},
    "INTERVAL": {_T.INTERVAL},
    "GEOGRAPHY": {_T.GEOGRAPHY},
}
_COERCIONS: dict[str, set[str]] = {
    "INT64": {"NUMERIC", "BIGNUMERIC", "FLOAT64"},
    "NUMERIC": {"BIGNUMERIC", "FLOAT64"},
    "BIGNUMERIC": {"FLOAT64"},
    "DATE": {"DATETIME"},
}
# Literals and STRING parameters: #literal_coercion and #parameter_coercion of the page above.
_OF_LITERALS: dict[str, set[str]] = {
    "STRING": {"DATE", "DATETIME", "TIME", "TIMESTAMP"},
    "FLOAT64": {"NUMERIC", "BIGNUMERIC"},
}
PARAMETER = "gatekeeper_parameter"
"""The key in a node's meta that marks a query parameter."""


def name(kind: exp.DataType | None) -> str | None:
    """Return BigQuery's name of a type; None if it is not known here."""
    if kind is None:
        return None
    if kind.this == _T.ARRAY:
        element = name(kind.expressions[0]) if kind.expressions else None
        return element and f"ARRAY<{element}>"
    return next((each for each, family in _FAMILIES.items() if kind.this in family), None)


def coerces(value: exp.Expr, column: exp.DataType) -> bool:
    """Return whether a typed expression may be written into a column; unknown types may."""
    value = value.unalias()
    while isinstance(value, exp.Paren):
        value = value.this
    if isinstance(value, exp.Array) and column.this == _T.ARRAY and column.expressions:
        return all(coerces(each, column.expressions[0]) for each in value.expressions)
    given, wanted = name(value.type), name(column)
    if isinstance(value, exp.Null) or given is None or wanted is None or given == wanted:
        return True
    return wanted in _COERCIONS.get(given, ()) or (
        wanted in _OF_LITERALS.get(given, ()) and _is_literal(value)
    )


def _is_literal(value: exp.Expr) -> bool:
    value = value.this if isinstance(value, exp.Neg) else value
    return isinstance(value, exp.Literal) or bool(value.meta.get(PARAMETER))
