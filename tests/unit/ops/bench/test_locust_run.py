import pytest

from ops.bench.locust_run import LocustSize, result_of
from ops.rig import RunFailed

COLUMNS = ("Requests/s", "50%", "95%", "99%")
SIZE = LocustSize(users=10, spawn_rate=10, seconds=4)


def row(name: str, requests: int, failures: int = 0) -> dict[str, str]:
    """Return a row as locust writes it: without a request it has no quantiles."""
    counts = {"Request Count": str(requests), "Failure Count": str(failures)}
    figures = dict.fromkeys(COLUMNS, "12.5" if requests else "N/A")
    return {"Name": name, "User Count": "10", "Timestamp": "7", **counts, **figures}


def test_the_rows_are_those_of_locust() -> None:
    stats = [row("insert", 1_200), row("Aggregated", 1_200)]
    found = result_of(stats, [row("Aggregated", 0), row("Aggregated", 1_200)], SIZE)
    assert found.tables[0].rows[0] == ("insert", "1,200", "0", "12", "12", "12", "12")
    # A moment without a request has no quantile.
    assert found.plots[1].series["p50"] == ((0.0, 12.5),)


@pytest.mark.parametrize(
    ("stats", "why"),
    [
        ([row("Aggregated", 0)], "no request was answered in 4 s"),
        ([row("insert", 3, 1), row("Aggregated", 3, 1)], "1 requests failed"),
    ],
)
def test_a_run_without_an_answer_or_with_a_failure_has_no_figures(
    stats: list[dict[str, str]], why: str
) -> None:
    with pytest.raises(RunFailed, match=why):
        result_of(stats, stats, SIZE)
