import pytest

from workers.guard_rail import LEAST, WINDOW, GuardRail, TooManyRejected


def test_a_share_up_to_the_limit_is_admitted_and_one_above_is_not() -> None:
    rail = GuardRail(0.5)
    rail.count(LEAST, LEAST - 1)
    rail.admit(0, 1)
    with pytest.raises(TooManyRejected, match=r"102 of the last 202 .*DEAD_LETTER_MAX_SHARE=0.5"):
        rail.admit(0, 3)


def test_a_few_rejections_and_nothing_else_are_admitted() -> None:
    rail = GuardRail(0.01)
    rail.admit(0, LEAST - 1)
    with pytest.raises(TooManyRejected):
        rail.admit(0, LEAST)


def test_old_outcomes_are_forgotten() -> None:
    rail = GuardRail(0.5)
    rail.count(0, WINDOW)
    rail.count(WINDOW, 0)
    rail.admit(0, LEAST)


def test_what_is_applied_is_admitted_whatever_went_before() -> None:
    rail = GuardRail(0.5)
    rail.count(0, WINDOW)
    rail.admit(WINDOW, 0)


def test_a_share_of_one_admits_everything() -> None:
    GuardRail(1.0).admit(0, 10 * WINDOW)
