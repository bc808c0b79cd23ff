import json
from pathlib import Path

import pytest

from ops.bench.results import BenchResult, read_json, write_json


def test_a_figure_reaches_its_target_by_its_median(result: BenchResult) -> None:
    reached, missed = result.checks
    assert reached.reached
    assert not missed.reached
    assert reached.measured == "0.86 (0.80 to 0.90)"
    assert reached.target.text == "at least 0.85"


def test_a_result_survives_json(result: BenchResult) -> None:
    assert BenchResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    ("machine", "kept"),
    [
        ({"cores": "2", "commit": "abc-dirty", "date": "later"}, 1),
        ({"cores": "2", "commit": "def", "date": "now"}, 0),
        ({"cores": "4", "commit": "abc", "date": "now"}, 0),
    ],
)
def test_results_are_read_back_on_the_same_machine_and_commit_only(
    result: BenchResult, tmp_path: Path, machine: dict[str, str], kept: int
) -> None:
    file = tmp_path / "folder" / "measurements.json"
    assert read_json(machine, file) == []
    write_json([result], {"cores": "2", "commit": "abc", "date": "now"}, file)
    assert read_json(machine, file) == [result] * kept
