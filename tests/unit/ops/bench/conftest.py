import pytest

from ops.bench.results import BenchResult, Plot, ResultTable, TargetCheck
from ops.bench.samples import Samples


@pytest.fixture
def result() -> BenchResult:
    return BenchResult(
        bench="ingest",
        title="Ingest",
        method="As it is done.",
        checks=(
            TargetCheck("ingest_64", Samples((0.9, 0.8, 0.86))),
            TargetCheck("ingest_512", Samples((0.5,))),
        ),
        tables=(ResultTable("Rates", ("server", "requests/s"), (("null", "1,000"),)),),
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
