from hypothesis import given
from hypothesis import strategies as st

from ops.local.bigquery.table_names import original, stored

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,40}", fullmatch=True) | st.text(
    st.characters(categories=["L", "M", "N", "Pc", "Pd", "Zs"]), min_size=1, max_size=40
)
# https://man7.org/linux/man-pages/man3/pathconf.3.html: NAME_MAX of the usual file systems.
MAX_FILE_NAME_BYTES = 255


@given(NAMES)
def test_a_stored_name_returns_to_its_original(name: str) -> None:
    assert original(stored(name)) == name
    assert stored(stored(name)) == stored(name)


@given(NAMES, st.data())
def test_names_that_differ_in_case_are_stored_under_names_that_differ_without_case(
    name: str, data: st.DataObject
) -> None:
    other = "".join(
        each.swapcase() if each.isascii() and data.draw(st.booleans()) else each for each in name
    )
    assert (stored(name).lower() == stored(other).lower()) == (name == other)


def test_ordinary_names_are_stored_as_they_are() -> None:
    assert stored("orders_2024") == "orders_2024"
    assert stored("Orders") == "orders~1"
    assert stored("oRderS") == "orders~22"


def test_a_name_longer_than_a_directory_gets_the_mark_so_that_ducklake_takes_another() -> None:
    for length in (201, 255, 256, 300, 1_000, 1_024):
        assert stored("n" * length) == "n" * length + "~0"
    assert len(stored("n" * 200)) < MAX_FILE_NAME_BYTES
