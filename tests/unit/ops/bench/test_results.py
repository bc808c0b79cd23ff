import json
from pathlib import Path

import pytest

from ops.bench import document, plots, report
from ops.bench.figures import Samples
from ops.bench.results import Check, Grid, Plot, Result
from ops.bench.targets import TARGETS


def result() -> Result:
    return Result(
        bench="ingest",
        title="Ingest",
        method="As it is done.",
        checks=(
            Check("ingest_64", Samples((0.9, 0.8, 0.86))),
            Check("ingest_512", Samples((0.5,))),
        ),
        grids=(Grid("Rates", ("server", "requests/s"), (("null", "1,000"),)),),
        plots=(
            Plot(
                "lines", "Lines", "x", "y", {"one": ((0.0, 1.0), (1.0, 2.0)), "two": ((0.0, 0.0),)}
            ),
            Plot("bars", "Bars", "", "y", {"": ((0.0, 1.0), (1.0, 2.0))}, ("a", "b")),
        ),
        notes=("A note.",),
        seconds=3.0,
        data={"any": [1, 2]},
    )


def test_a_figure_reaches_its_target_by_its_median() -> None:
    reached, short = result().checks
    assert reached.reached
    assert not short.reached
    assert reached.measured == "0.86 (0.80 to 0.90)"
    assert reached.target.wanted == "at least 0.85"


def test_a_target_from_above_is_reached_from_below() -> None:
    assert TARGETS["pipeline_p99"].reached(3.0)
    assert not TARGETS["pipeline_p99"].reached(3.01)


def test_a_result_survives_json() -> None:
    assert Result.from_json(json.loads(json.dumps(result().to_json()))) == result()


@pytest.mark.parametrize(
    ("machine", "kept"),
    [
        ({"cores": "2", "commit": "abc-dirty", "date": "later"}, 1),
        ({"cores": "2", "commit": "def", "date": "now"}, 0),
        ({"cores": "4", "commit": "abc", "date": "now"}, 0),
    ],
)
def test_what_was_measured_is_kept_for_the_same_machine_and_commit(
    tmp_path: Path, machine: dict[str, str], kept: int
) -> None:
    file = tmp_path / "folder" / "measurements.json"
    assert report.read_json(machine, file) == []
    report.write_json([result()], {"cores": "2", "commit": "abc", "date": "now"}, file)
    assert report.read_json(machine, file) == [result()] * kept


def test_the_document_sets_every_figure_beside_its_target_and_says_what_falls_short() -> None:
    text = document.write([result()], {"processor": "Abacus"}, "performance")
    assert "| processor | Abacus |" in text
    assert "1 of 2 fall short" in text
    assert "| 0.86 (0.80 to 0.90) | at least 0.85 | reached |" in text
    assert "| 0.50 | at least 0.90 | **short** |" in text
    assert "- **requests/s over null's, 512 connections**: " in text
    assert "![Bars](performance/bars.svg)" in text


def test_the_same_numbers_draw_the_same_bytes(tmp_path: Path) -> None:
    first, second = (plots.draw(result().plots, tmp_path / name) for name in ("a", "b"))
    assert [file.name for file in first] == ["lines.svg", "bars.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"<svg" in one.read_bytes()
