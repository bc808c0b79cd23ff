"""What a client sends is what BigQuery has: payload → canonical text → script → evaluated row."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import Activity, check_body, parse_type
from tests.support.judge.cells import cell_meaning
from tests.support.judge.evaluator import EvaluatedDataset
from tests.support.judge.source_values import NULL, SourceValue, drawn, edges, kinds
from tests.support.judge.statements import change_statements
from workers.fold import fold

ONE_OF_EACH = ["TEXT", "BIGINT", "DOUBLE", "BOOL", "DECIMAL", "DECIMAL(20,3)", "DECIMAL(76,38)"]
ONE_OF_EACH += ["DATE", "TIME", "DATETIME", "TIMESTAMP", "JSON", "BYTES"]


def _inserts(kind: str, values: list[SourceValue]) -> tuple[Activity, ...]:
    inserts = (
        f'{{"operation":"insert","table":"t","col_names":["n","v"],'
        f'"col_types":["INTEGER",{json.dumps(kind)}],"col_values":[{number},{value.json}]}}'
        for number, value in enumerate(values)
    )
    return check_body(f'{{"activities":[{",".join(inserts)}]}}'.encode()).activities


def _assert_kept(kind: str, values: list[SourceValue]) -> None:
    dataset = EvaluatedDataset({"p.d.t": {"n": "INT64", "v": parse_type(kind).base}})

    dataset.run(*change_statements("p.d", fold(_inserts(kind, values))))

    rows = dataset.tables["p.d.t"].rows.values()
    found = {cell_meaning(number): cell_meaning(value) for number, value in rows}
    assert [found[number] for number in range(len(values))] == [value.meaning for value in values]


def test_the_table_of_values_is_large() -> None:
    assert sum(len(edges(kind)) for kind in kinds()) > 5_700


@pytest.mark.parametrize("kind", kinds())
def test_a_value_at_an_edge_keeps_its_meaning(kind: str) -> None:
    _assert_kept(kind, [*edges(kind), NULL])


@pytest.mark.parametrize("kind", ONE_OF_EACH)
@given(st.data())
@settings(max_examples=15)
def test_a_value_keeps_its_meaning(kind: str, data: st.DataObject) -> None:
    _assert_kept(kind, data.draw(st.lists(drawn(kind), min_size=1, max_size=40)))
