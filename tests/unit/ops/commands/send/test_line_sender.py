from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ops.commands.send.line_sender import LONGEST_RETRY_AFTER_SECONDS, retry_after


@pytest.mark.parametrize(("text", "seconds"), [(None, 0), ("", 0), ("3", 3), ("soon", 0)])
def test_retry_after_is_a_number_of_seconds(text: str | None, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=20)
    assert 15 < retry_after(format_datetime(later, usegmt=True)) <= 20
    assert retry_after(format_datetime(later - timedelta(days=1), usegmt=True)) == 0


def test_retry_after_is_bounded() -> None:
    assert retry_after("86400") == LONGEST_RETRY_AFTER_SECONDS
