from ops.bench import rendering
from ops.bench.results import BenchResult


def test_the_document_has_every_figure_with_its_target_and_remarks_on_the_missed_ones(
    result: BenchResult,
) -> None:
    text = rendering.document([result], {"processor": "Abacus"}, "performance")
    assert "| processor | Abacus |" in text
    assert "1 of 2 are missed" in text
    assert "| 0.86 (0.80 to 0.90) | at least 0.85 | reached |" in text
    assert "| 0.50 | at least 0.95 | **missed** |" in text
    assert "- **requests/s over null's, 512 connections**: " in text
    assert "![Bars](performance/bars.svg)" in text
