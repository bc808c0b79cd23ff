import pytest

from schema.contracts import InvalidPattern, pattern_search


def test_a_pattern_matches_anywhere_and_by_characters() -> None:
    assert pattern_search("b")("abc")
    assert not pattern_search("^b")("abc")
    assert pattern_search("^.{3}$")("é😀ß")


def test_digits_are_those_of_ascii_as_in_bigquery() -> None:
    assert pattern_search(r"^\d$")("3")
    assert not pattern_search(r"^\d$")("٣")


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{2000}"])
def test_a_pattern_that_re2_does_not_have_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        pattern_search(pattern)


def test_a_pattern_that_is_exponential_elsewhere_ends() -> None:
    assert not pattern_search("^(a+)+$")("a" * 100_000 + "!")
