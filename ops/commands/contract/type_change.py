"""Whether BigQuery can change a column's type into another, and what that does to its values.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_column_set_data_type_statement
https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
"""

import re
from enum import Enum, auto
from typing import Final

from schema.types import ColumnType

_EXACT: Final = {
    ("INT64", "NUMERIC"),
    ("INT64", "BIGNUMERIC"),
    ("NUMERIC", "BIGNUMERIC"),
    ("DATE", "DATETIME"),
}
_INEXACT: Final = {(base, "FLOAT64") for base in ("INT64", "NUMERIC", "BIGNUMERIC")}
_INTEGER_DIGITS: Final = 19
_DECIMAL: Final = re.compile(r"\w+\((\d+),(\d+)\)")


class TypeChange(Enum):
    """EXACT keeps every value. INEXACT is possible, but rounds large numbers."""

    NONE = auto()
    EXACT = auto()
    INEXACT = auto()
    IMPOSSIBLE = auto()


def type_change(live: str, wanted: ColumnType) -> TypeChange:
    """Compare a column's type, as in DDL, with the one that a contract wants."""
    if live == wanted.bigquery:
        return TypeChange.NONE
    base = live.partition("(")[0]
    if (base, wanted.base) in _INEXACT:
        return TypeChange.INEXACT
    may_widen = base == wanted.base or (base, wanted.base) in _EXACT
    if may_widen and (wanted.bigquery == wanted.base or _has_room(live, base, wanted)):
        return TypeChange.EXACT
    return TypeChange.IMPOSSIBLE


def _has_room(live: str, base: str, wanted: ColumnType) -> bool:
    """Whether a decimal with parameters holds all values of the live type."""
    integer_digits = (wanted.precision or 0) - (wanted.scale or 0)
    if base == "INT64":
        return integer_digits >= _INTEGER_DIGITS
    found = _DECIMAL.fullmatch(live)
    if found is None:  # without parameters it has the most digits of its type
        return False
    precision, scale = int(found[1]), int(found[2])
    return scale <= (wanted.scale or 0) and precision - scale <= integer_digits
