from ops.commands.backlog import Backlog, newest


def test_the_newest_point_counts() -> None:
    answer = {
        "timeSeries": [
            {
                "points": [
                    {"interval": {"endTime": "2026-01-01T00:02:00Z"}, "value": {"int64Value": "7"}},
                    {"interval": {"endTime": "2026-01-01T00:01:00Z"}, "value": {"int64Value": "9"}},
                ]
            }
        ]
    }
    assert newest(answer) == 7


def test_no_sample_is_not_zero() -> None:
    assert newest({}) is None


def test_an_empty_backlog_has_no_oldest() -> None:
    assert str(Backlog(0, 0.0)) == "0 transactions"
    assert str(Backlog(1200, 3.04)) == "1,200 transactions, the oldest 3.0 s old"
