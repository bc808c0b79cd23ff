"""Two values are equal in the fold exactly where they are equal in SQL."""

import pytest

from schema import canonical, loads, parse_type
from tests.support.judge.cells import cell_meaning
from tests.support.judge.evaluator import EvaluatedDataset
from tests.support.judge.source_values import edges
from workers import row_expansion as expand
from workers.table_change import RowSet

MOST = 160
"""Values of a type; each is compared with each."""
KINDS = ["TEXT", "BIGINT", "DOUBLE", "BOOL", "DECIMAL", "DECIMAL(76,38)"]
KINDS += ["DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON", "BYTES"]


def _texts(kind: str) -> list[str]:
    """Return canonical texts that differ, spread over all of a type's edges."""
    declared = parse_type(kind)
    found = (canonical(loads(value.json.encode()), declared) for value in edges(kind))
    texts = [text for text in dict.fromkeys(found) if text is not None]
    return texts[:: max(len(texts) // MOST, 1)]


def _equal_in_sql(kind: str, texts: list[str | None]) -> list[tuple[int, int]]:
    """Return the places of the values that the condition of a DELETE finds equal."""
    declared = parse_type(kind)
    types = (declared, parse_type("INTEGER"))
    keys = f"(SELECT {', '.join(expand.key_columns(types))} FROM {expand.source('rows')})"
    condition = expand.condition(RowSet(("c0",), (declared,), [(text,) for text in texts]))
    rows = expand.as_json([[text, str(place)] for place, text in enumerate(texts)])
    found = EvaluatedDataset({}).query(
        f"SELECT t.c1, s.k1 FROM (SELECT k0 AS c0, k1 AS c1 FROM {keys}) AS t "
        f"JOIN {keys} AS s ON {condition}",
        {"rows": rows},
    )
    return sorted((cell_meaning(row), cell_meaning(key)) for row, key in found)


@pytest.mark.parametrize("null", [[], [None]])
@pytest.mark.parametrize("kind", KINDS)
def test_canonical_texts_are_equal_exactly_where_sql_finds_equality(
    kind: str, null: list[None]
) -> None:
    texts = [*_texts(kind), *null]

    assert _equal_in_sql(kind, texts) == [(place, place) for place in range(len(texts))]


@pytest.mark.parametrize("kind", KINDS)
def test_null_equals_none_of_the_values_that_replace_it(kind: str) -> None:
    replacements = {"STRING": "", "INT64": "0", "FLOAT64": "0.0", "BOOL": "false", "BYTES": ""}
    replacements |= {"DATE": "0001-01-01", "TIME": "00:00:00", "JSON": '""', "NUMERIC": "0"}
    replacements |= {"DATETIME": "0001-01-01 00:00:00", "BIGNUMERIC": "0"}
    replacements |= {"TIMESTAMP": "0001-01-01 00:00:00+00:00"}

    found = _equal_in_sql(kind, [replacements[parse_type(kind).base], None])

    assert found == [(0, 0), (1, 1)]
