import io

from ops.commands.send.transaction_lines import content_name, lines


def test_blank_lines_count_but_are_not_sent() -> None:
    found = list(lines(io.BytesIO(b"a\n\n  \r\nb\r\nc")))
    assert [(line.number, line.body) for line in found] == [(1, b"a"), (4, b"b"), (5, b"c")]
    assert [line.end for line in found] == [2, 10, 11]


def test_a_line_past_any_servers_limit_is_not_kept() -> None:
    found = list(
        lines(io.BytesIO(b"x" * 10 + b"\n" + b"y" * 35 + b"\nz\n" + b"w" * 12), max_bytes=10)
    )
    assert [(line.number, line.body) for line in found] == [
        (1, b"x" * 10), (2, None), (3, b"z"), (4, None),
    ]  # fmt: skip
    assert found[-1].end == 11 + 36 + 2 + 12


def test_a_lines_ordering_key_is_its_first_table() -> None:
    body = b'{"activities": [{"table": "b"}, {"table": "a"}]}\nnot json\n[1]\n'
    assert [line.ordering_key() for line in lines(io.BytesIO(body))] == ["b", "", ""]


def test_a_run_is_named_for_the_files_content() -> None:
    first, second, other = (io.BytesIO(content) for content in (b"1\n", b"1\n", b"2\n"))
    assert content_name(first) == content_name(second) != content_name(other)
    assert first.read() == b"1\n"
