from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schema import BadValue, canonical, parse_type


@given(st.datetimes(), st.timezones())
def test_equal_moments_have_equal_texts(value: Any, zone: Any) -> None:
    ctype = parse_type("TIMESTAMP")
    aware = value.replace(tzinfo=zone)
    if aware.utcoffset().total_seconds() % 60:
        return  # local mean times of the 19th century have seconds, which ISO 8601 cannot express
    try:
        text = canonical(aware.isoformat(), ctype)
    except BadValue:
        assert value.year in (1, 9999)
        return
    assert text is not None
    assert canonical(text.replace("+00:00", "Z").replace(" ", "T"), ctype) == text
