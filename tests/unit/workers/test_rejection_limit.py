import pytest

from schema import Reason
from workers.rejection_limit import (
    MIN_REJECTIONS,
    WINDOW,
    CountedOutcome,
    RejectionLimit,
    TooManyRejected,
)


def refused(count: int, sources: int = 3, tables: int = 3) -> list[CountedOutcome]:
    return [
        CountedOutcome(f"team {i % sources}", f"t{i % tables}", Reason.TABLE_MISSING)
        for i in range(count)
    ]


def applied(count: int, source: str = "team 0") -> list[CountedOutcome]:
    return [CountedOutcome(source, "t0", None)] * count


def test_rejections_of_nearly_everybody_stop_the_worker_and_the_text_says_whose() -> None:
    limit = RejectionLimit(0.5)
    with pytest.raises(TooManyRejected, match=r"team 0 on table t0: table_missing"):
        limit.admit(refused(MIN_REJECTIONS))


def test_fewer_rejections_never_do() -> None:
    RejectionLimit(0.5).admit(refused(MIN_REJECTIONS - 1))


def test_one_teams_rejections_do_not_stop_the_others() -> None:
    limit = RejectionLimit(0.5)
    limit.count([*applied(5, "good"), *applied(5, "better")])
    limit.admit(refused(900, sources=1, tables=50))


def test_the_only_source_a_worker_has_seen_stops_it_after_a_window_of_rejections() -> None:
    RejectionLimit(0.5).admit(refused(WINDOW - 1, sources=1))
    with pytest.raises(TooManyRejected):
        RejectionLimit(0.5).admit(refused(WINDOW, sources=1))


def test_the_only_source_does_not_stop_itself_as_long_as_anything_is_applied() -> None:
    limit = RejectionLimit(0.5)
    limit.count(applied(1))
    limit.admit(refused(WINDOW - 1, sources=1))


def test_one_table_is_one_mistake() -> None:
    RejectionLimit(0.5).admit(refused(900, tables=1))


def test_an_invalid_body_is_its_senders_fault() -> None:
    bad = [each._replace(reason=Reason.INVALID_SCHEMA) for each in refused(900)]
    RejectionLimit(0.5).admit(bad)


def test_old_outcomes_leave_the_window() -> None:
    limit = RejectionLimit(0.5)
    limit.count(refused(99))
    limit.count([each for i in range(3) for each in applied(WINDOW // 3 + 1, f"team {i}")])
    limit.admit(refused(99))


def test_a_share_of_one_disables_it() -> None:
    RejectionLimit(1.0).admit(refused(WINDOW))
