import json
import sys
from pathlib import Path

import pytest

from tests.support.processes import Service, wait_until
from workers.catalog import Made, Part
from workers.unused import Unused

PARTS: set[Part] = {("t", None), ("t", "a"), ("u", "b")}

_HOLDER = """
import pathlib, sys, time
from workers.catalog import Made
from workers.unused import Unused
folder = pathlib.Path(sys.argv[1])
unused = Unused(folder / "notes")
unused.keep(Made({("t", None), ("t", "a"), ("u", "b")}))
(folder / "held").touch()
time.sleep(600)
"""


def files(folder: Path) -> list[Path]:
    """Return the files with something in them."""
    return [path for path in folder.iterdir() if path.stat().st_size]


def test_a_living_workers_note_is_its_own_and_a_dead_ones_is_for_who_names_its_tables(
    tmp_path: Path,
) -> None:
    notes = tmp_path / "notes"
    other = Service([sys.executable, "-c", _HOLDER, str(tmp_path)]).start()
    wait_until((tmp_path / "held").exists, 20, "the note is written")
    unused = Unused(notes)

    assert unused.take({"t", "u"}).parts == set()
    other.kill()
    assert unused.take({"t", "v"}).parts == {("t", None), ("t", "a")}
    assert unused.take({"t", "u"}).parts == PARTS
    unused.keep(Made())
    assert unused.take({"t", "u"}).parts == set()
    assert files(notes) == []
    unused.close()


def test_what_a_batch_left_that_was_given_up_is_for_any_worker(tmp_path: Path) -> None:
    first, second = Unused(tmp_path), Unused(tmp_path)
    first.keep(Made(PARTS))

    assert second.take({"t"}).parts == set()
    assert first.take({"u"}).parts == {("u", "b")}
    assert second.take({"t"}).parts == {("t", None), ("t", "a")}

    first.close()
    second.close()


def test_a_worker_that_ends_with_nothing_noted_leaves_no_file_and_an_empty_one_is_tidied_away(
    tmp_path: Path,
) -> None:
    unused = Unused(tmp_path)
    (tmp_path / "empty").touch()
    Unused(tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 1
    unused.close()
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_line_of_a_note_counts(tmp_path: Path) -> None:
    (tmp_path / "longer").write_text(json.dumps([["t", None]]) + "\n" + '["of", "before"]\n')
    unused = Unused(tmp_path)
    assert unused.take({"t"}).parts == {("t", None)}
    unused.close()


@pytest.mark.parametrize("content", ["[[", "\0\0\0\0", '{"t": 1}\n', "[1]\n", "null\n"])
def test_a_note_that_a_failure_of_the_machine_spoilt_is_told_and_done_with(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spoilt").write_text(content)
    unused = Unused(tmp_path)

    assert unused.take({"t"}).parts == set()
    assert "unused_note_unreadable" in capsys.readouterr().err
    assert not (tmp_path / "spoilt").exists()
    unused.close()
