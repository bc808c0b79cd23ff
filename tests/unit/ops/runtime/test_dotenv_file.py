import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.runtime.dotenv_file import DotenvValue, parse_dotenv, read_dotenv

KNOWN = ("PROJECT_ID", "DATASET_ID", "TOPIC_ID", "PORT")


def values(content: str, **environ: str) -> dict[str, str]:
    found, faults = parse_dotenv(content.encode(), KNOWN, environ)
    assert faults == []
    return {name: value.text for name, value in found.items()}


def faults(content: bytes) -> list[str]:
    return parse_dotenv(content, KNOWN, {}).faults


def test_values_are_read_as_a_shell_reads_them_with_their_lines() -> None:
    content = (
        b"# mine\n\nPORT=1\nexport TOPIC_ID='a b'\r\n DATASET_ID = \"d\" # sales\nPROJECT_ID=\n"
    )
    assert parse_dotenv(content, KNOWN, {}) == (
        {
            "PORT": DotenvValue("1", 3),
            "TOPIC_ID": DotenvValue("a b", 4),
            "DATASET_ID": DotenvValue("d", 5),
            "PROJECT_ID": DotenvValue("", 6),
        },
        [],
    )


def test_a_variable_is_an_earlier_value_or_one_of_the_environment() -> None:
    assert values("TOPIC_ID=${TEAM}-a\nDATASET_ID=${TOPIC_ID}${X:-9}", TEAM="b") == {
        "TOPIC_ID": "b-a",
        "DATASET_ID": "b-a9",
    }
    assert faults(b"PROJECT_ID=${TEAM}\n") == ["line 1: ${TEAM} is not set"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"DATASET_ID=d\nPROJECT_ID: p\n", "line 2: expected NAME=value"),
        (b"DATASET_ID=d\n\nPROJECT_ID:p\n", "line 3: expected NAME=value"),
        (b"PROJECT_ID p\n", "line 1: expected NAME=value"),
        (b"PROJECT_ID\n", "line 1: expected NAME=value"),
        (b"=p\n", "line 1: expected NAME=value"),
        (b"export # PROJECT_ID=p\n", "line 1: expected NAME=value"),
        (b'PORT=1\nPROJECT_ID="p\nTOPIC_ID=t\n', "line 2: expected NAME=value"),
        (b'PORT=1\nPROJECT_ID="p\nTOPIC_ID=t"\n', "line 2: PROJECT_ID='p\\nTOPIC_ID=t': a line"),
        (b"PORT=1\x1b[2J\n", "line 1: PORT='1\\x1b[2J': a line break or a control character"),
        (b"project_id=p\n", "line 1: unknown setting 'project_id'; did you mean PROJECT_ID?"),
        (b"PROJET_ID=p\n", "line 1: unknown setting 'PROJET_ID'; did you mean PROJECT_ID?"),
        (b"\nZZZ=p\n", "line 2: unknown setting 'ZZZ'"),
        (b"PORT=1\nPROJECT_ID=caf\xe9\n", "line 2: not UTF-8"),
        (b"PORT=1\nP\0R\0", "line 2: not UTF-8"),
        ("PROJECT_ID=p\n".encode("utf-16"), "line 1: it is UTF-16: save the file as UTF-8"),
        ("PROJECT_ID=p\n".encode("utf-32"), "line 1: it is UTF-32: save the file as UTF-8"),
        ("PROJECT_ID=p\n".encode("utf-8-sig"), "line 1: it begins with a byte order mark"),
    ],
)
def test_what_is_not_understood_is_a_fault_with_its_line(content: bytes, fault: str) -> None:
    (found,) = faults(content)
    assert found.startswith(fault)


def test_every_fault_is_listed() -> None:
    assert len(faults(b"a\nPORT=1\nb=2\n\nc: 3\n")) == 3


def test_a_file_that_is_missing_has_no_values_and_one_that_cannot_be_read_is_a_fault(
    tmp_path: Path,
) -> None:
    assert read_dotenv(tmp_path / "missing", KNOWN, {}) == ({}, [])
    assert read_dotenv(tmp_path, KNOWN, {}).faults == [
        "line 1: the file cannot be read: Is a directory"
    ]


WORDS = st.sampled_from(
    [*KNOWN, "port", "PROJET_ID", "export ", "=", " = ", ":", '"', "'", "#", " ", "\\", "$", "{"]
)
LINES = st.lists(WORDS | st.text(max_size=3), max_size=8).map("".join)


@given(st.binary(max_size=60) | LINES.map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_values_or_faults_that_a_terminal_can_show(content: bytes) -> None:
    found, listed = parse_dotenv(content, KNOWN, {})
    assert set(found) <= set(KNOWN)
    assert all(value.text.isprintable() for value in found.values())
    assert all(fault.isprintable() and fault.startswith("line ") for fault in listed)


@given(LINES.filter(lambda line: line.isprintable()), st.integers(0, 3))
def test_no_line_is_passed_over(line: str, before: int) -> None:
    found, listed = parse_dotenv(("\n" * before + line).encode(), KNOWN, {})
    if line.strip() and not line.strip().startswith("#"):
        numbers = [value.line for value in found.values()]
        assert numbers == [before + 1] or listed[0].startswith(f"line {before + 1}: ")
        assert bool(numbers) != bool(listed)


@given(
    st.dictionaries(
        st.sampled_from(KNOWN), st.text(string.ascii_letters + string.digits + "./:-_@,*+~%=")
    )
)
def test_written_values_are_read_back(written: dict[str, str]) -> None:
    assert values("".join(f"{name}={text}\n" for name, text in written.items())) == written
