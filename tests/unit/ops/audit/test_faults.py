import pytest

from ops.audit.faults import KINDS, schedule


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_strikes_when_there_are_faults_enough(seed: int) -> None:
    strikes = schedule(2_000, len(KINDS), seed, tuple(KINDS))
    assert {strike.kind for strike in strikes} == KINDS.keys()
    assert len(schedule(2_000, 100, seed, tuple(KINDS))) == 100


def test_strikes_come_in_order_within_the_load_and_from_the_seed() -> None:
    strikes = schedule(1_000, 60, 3, tuple(KINDS))
    moments = [strike.after for strike in strikes]
    assert moments == sorted(moments)
    assert 0 < moments[0] <= moments[-1] < 1_000
    assert strikes == schedule(1_000, 60, 3, tuple(KINDS))
    assert strikes != schedule(1_000, 60, 4, tuple(KINDS))


def test_few_transactions_and_few_kinds_have_a_schedule_too() -> None:
    assert [strike.kind for strike in schedule(1, 2, 1, ("kill_worker",))] == ["kill_worker"] * 2
    assert schedule(10, 0, 1, ("kill_worker",)) == []
