import itertools
from typing import Any

import pytest

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24

type Panel = dict[str, Any]


@pytest.fixture(scope="module")
def panels(dashboard: dict[str, Any]) -> list[Panel]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_its_rows_follow_a_transaction(dashboard: dict[str, Any]) -> None:
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]

    assert rows == [
        "At a glance",
        "Intake",
        "Verdicts",
        "Publishing",
        "Workers",
        "Warehouse",
        "Settling",
        "Tables and sources",
        "Processes",
    ]


def test_every_query_uses_only_existing_metrics_and_labels(
    dashboard: dict[str, Any], panels: list[Panel], vocabulary: Any
) -> None:
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    expressions += [each["expr"] for each in dashboard["annotations"]["list"]]
    unknown = {name for each in expressions for name in vocabulary.unknown(each)}

    assert unknown == set()


def test_every_panel_has_a_unit_a_description_and_a_query(panels: list[Panel]) -> None:
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


def test_it_works_with_any_prometheus_data_source(
    dashboard: dict[str, Any], panels: list[Panel]
) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    asked = [each["datasource"] for panel in panels for each in (panel, *panel["targets"])]
    asked += [
        variables["instance"]["datasource"],
        dashboard["annotations"]["list"][0]["datasource"],
    ]

    assert variables["datasource"]["query"] == "prometheus"
    assert all(each == DATASOURCE for each in asked)


def test_an_import_makes_a_new_dashboard_and_no_panel_covers_another(
    dashboard: dict[str, Any],
) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    boxes = [panel["gridPos"] for panel in dashboard["panels"]]

    assert dashboard["id"] is None
    assert len(ids) == len(set(ids))
    assert all(box["x"] + box["w"] <= COLUMNS for box in boxes)
    for one, other in itertools.combinations(boxes, 2):
        apart_across = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_down = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_across or apart_down, (one, other)
