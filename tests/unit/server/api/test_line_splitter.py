import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.line_splitter import LineSplitter
from server.http import Refusal
from server.http.refusal import PAYLOAD_TOO_LARGE

_BOM = b"\xef\xbb\xbf"


def cut(body: bytes, step: int, max_bytes: int, max_lines: int = 100) -> list[bytes | None]:
    splitter = LineSplitter(max_bytes, max_lines)
    parts = [body[start : start + step] for start in range(0, len(body), step)]
    return [*(line for part in parts for line in splitter.feed(part)), *splitter.end()]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_the_body_is_cut(step: int) -> None:
    body = b"a\n\nbb\r\n \nccccc\ndddddd\nee\nfffffffffff"
    assert cut(body, step, 5) == [b"a", b"bb", b"ccccc", None, b"ee", None]


def test_no_body_has_no_lines() -> None:
    assert cut(b"", 1, 5) == []
    assert cut(b"\n\n", 1, 5) == []


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_byte_order_mark_is_left_out_at_the_start_alone(step: int) -> None:
    assert cut(_BOM + b"a\n" + _BOM + b"b", step, 9) == [b"a", _BOM + b"b"]
    assert cut(_BOM, step, 9) == []
    assert cut(_BOM + b"\na", step, 9) == [b"a"]


@pytest.mark.parametrize("step", [1, 1000])
def test_too_many_lines_are_refused_and_blank_ones_count(step: int) -> None:
    assert cut(b"\n\na\n\n", step, 5, max_lines=4) == [b"a"]
    with pytest.raises(Refusal) as refused:
        cut(b"\n\na\n\n\n", step, 5, max_lines=4)
    assert refused.value.kind == PAYLOAD_TOO_LARGE


@given(
    st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=8),
    st.integers(1, 40),
)
def test_any_lines_come_out_as_if_split_whole(lines: list[bytes], step: int) -> None:
    body = b"\n".join(lines)
    whole = body.removeprefix(_BOM).split(b"\n")
    assert cut(body, step, 1_000) == [line.strip() for line in whole if line.strip()]
