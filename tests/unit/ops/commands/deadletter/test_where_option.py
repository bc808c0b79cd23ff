from datetime import UTC, datetime, timedelta

import pytest

from ops.commands.deadletter.where_option import parse_selection
from ops.commands.failure import CommandFailed
from ops.rejections.selection import Selection
from schema import Reason

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def parsed(where: str) -> Selection:
    return parse_selection(10, (), where, NOW)


def test_conditions_are_read_from_one_text() -> None:
    assert parsed("") == Selection(10)
    assert parsed("source=shop, table=orders,reason=table_missing,since=2h") == Selection(
        10, (), "shop", "orders", Reason.TABLE_MISSING, NOW - timedelta(hours=2)
    )
    assert parsed("since=2026-01-01").since == datetime(2026, 1, 1, tzinfo=UTC)
    assert parsed("source=").source == ""  # transactions that were sent without a key
    since = parsed("since=2026-01-01T12:00+02:00").since
    assert since == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("where", "cause"),
    [
        ("shop", "takes source, table, reason, since, not 'shop'"),
        ("tables=orders", "not 'tables=orders'"),
        ("source=a,,table=b", "not ''"),
        ("source=a,source=b", "source twice"),
        ("table=9", "no table's name"),
        ("table=", "no table's name"),
        ("reason=bad", "use one of invalid_schema, contract"),
        ("since=yesterday", "is no time: give one such as 2h"),
        ("since=", "is no time"),
        ("since=999999d", "too long ago"),
        ("since=2027-01-01", "in the future"),
    ],
)
def test_a_wrong_condition_is_named_in_one_line(where: str, cause: str) -> None:
    with pytest.raises(CommandFailed, match=cause) as caught:
        parsed(where)
    assert "\n" not in str(caught.value)
