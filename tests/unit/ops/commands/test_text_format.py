import pytest

from ops.commands.text_format import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3s"), (75, "1m 15s"), (3_720, "1h 2m"), (200_000, "2d 7h")]
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
