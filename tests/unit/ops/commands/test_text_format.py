import pytest

from ops.commands.text_format import duration, printable


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[2Jb\x9bc\nä") == "a\\x1b[2Jb\\x9bc\nä"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3s"), (75, "1m 15s"), (3_720, "1h 2m"), (200_000, "2d 7h")]
)
def test_an_age_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
