import json
import math

import pytest

from server.console.chart_history import POINTS, SERIES, STEP_SECONDS, ChartHistory


def test_a_point_has_a_value_for_each_series_and_null_for_what_is_unknown() -> None:
    history = ChartHistory()
    history.add(10.0, {"accepted": 1.23456, "backlog": 123456, "p50": None, "applied": math.nan})
    answer = json.loads(json.dumps(history.after(-math.inf), allow_nan=False))
    assert answer["series"] == list(SERIES)
    ((at, *values),) = answer["points"]
    assert at == 10
    known = {name: value for name, value in zip(SERIES, values, strict=True) if value is not None}
    assert known == {"accepted": 1.235, "backlog": 123500}


def test_it_keeps_six_hours_and_drops_the_oldest() -> None:
    history = ChartHistory()
    for number in range(POINTS + 5):
        history.add(number * STEP_SECONDS, {})
    times = [point[0] for point in history.after(-math.inf)["points"]]
    assert (times[0], times[-1], len(times)) == (50, (POINTS + 4) * STEP_SECONDS, POINTS)
    assert times[-1] - times[0] == pytest.approx(6 * 3600, abs=STEP_SECONDS)


def test_only_the_points_after_a_time_are_answered() -> None:
    history = ChartHistory()
    for at in (10.0, 20.0, 30.0):
        history.add(at, {})
    assert [point[0] for point in history.after(20.0)["points"]] == [30]
    assert history.after(30.0)["points"] == history.after(math.nan)["points"] == []
