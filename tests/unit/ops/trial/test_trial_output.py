import json

import pytest

from ops.trial.trial import TrialPlan, TrialResult
from ops.trial.trial_output import write_trial

STRICT = {
    "jobs": {"done": 3, "refused": 1},
    "statements": {"INSERT": 7},
    "bytes_billed": {"total": 2 * 2**30},
    "dollars": 1.5,
    "refusals": {"dml_rate": {"count": 1, "source": "https://example.com"}},
}


@pytest.fixture
def result() -> TrialResult:
    return TrialResult(TrialPlan(10, 0, 1))


def test_what_the_strict_bigquery_billed_and_refused_is_printed(
    result: TrialResult, capsys: pytest.CaptureFixture[str]
) -> None:
    result.strict = STRICT
    write_trial(result, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 jobs, 7 statements, 2.0 GiB billed, 1.50 $; refused: dml_rate 1 times" in shown
    write_trial(result, as_json=True)
    assert json.loads(capsys.readouterr().out)["strict_bigquery"] == STRICT


def test_without_it_nothing_is_printed_about_it(
    result: TrialResult, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(result, as_json=False)
    assert "strict BigQuery" not in capsys.readouterr().out
