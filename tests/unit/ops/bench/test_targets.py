from ops.bench.targets import TARGETS


def test_an_upper_limit_is_reached_from_below() -> None:
    assert TARGETS["pipeline_p99"].reached(3.0)
    assert not TARGETS["pipeline_p99"].reached(3.01)
