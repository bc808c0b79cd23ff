import io
from pathlib import Path

import pytest

from ops.bench import runner
from ops.bench.results import BenchResult
from ops.commands.console import PlainConsole
from ops.rig import RunFailed


def test_a_resumed_run_keeps_the_results_of_the_interrupted_one(
    tmp_path: Path, result: BenchResult
) -> None:
    runs: list[str] = []

    def first(*_: object) -> BenchResult:
        runs.append("first")
        return result

    def second(*_: object) -> BenchResult:
        runs.append("second")
        if runs.count("second") == 1:
            raise RunFailed("interrupted")
        return result

    def run(*, resume: bool) -> None:
        runner.run(
            tmp_path / "performance.md",
            PlainConsole(file=io.StringIO()),
            quick=True,
            resume=resume,
            measurements=None,
            benches={"first": first, "second": second},
        )

    with pytest.raises(RunFailed, match="interrupted"):
        run(resume=False)
    run(resume=True)
    assert runs == ["first", "second", "second"]
    assert "## The targets" in (tmp_path / "performance.md").read_text()
    assert (tmp_path / "performance" / "lines.svg").exists()
