import csv
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.runtime.terminal import (
    DataOutput,
    printable,
    printable_json,
    write_error,
    write_json,
    write_line,
)

HOSTILE = "a\x1b[2Jb\x9bc\n\x7fä\u202e\ud800\U000e0001"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[2Jb\x9bc\nä") == "a\\x1b[2Jb\\x9bc\\nä"
    assert printable("a\nb\r", keep="\n") == "a\nb\\r"


@given(st.text(st.characters()))
def test_any_text_becomes_printable_and_a_printable_one_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert not text.isprintable() or printable(text) == text
    printable(text).encode()


@given(JSON)
def test_printable_json_has_the_same_value(document: Any) -> None:
    text = printable_json(json.dumps(document, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == document


def test_whatever_is_written_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    write_line(HOSTILE)
    write_error(HOSTILE)
    write_json({HOSTILE: [HOSTILE]})
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()
    assert len(out.splitlines()) == 2
    assert json.loads(out.splitlines()[1]) == {HOSTILE: [HOSTILE]}


@pytest.mark.parametrize("terminal", [True, False])
def test_data_is_exact_but_on_a_terminal(
    terminal: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    csv.writer(DataOutput()).writerow(["\x1b[2J", 1])
    assert capsys.readouterr().out == ("\\x1b[2J,1\r\n" if terminal else "\x1b[2J,1\r\n")
