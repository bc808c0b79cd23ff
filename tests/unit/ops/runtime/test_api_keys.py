import errno
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ops.runtime.api_keys import ApiKey, InvalidKeys, KeyRing, KeysUnreadable, mint, parse

CREATED = "2026-01-01T00:00:00+00:00"


def _name(ring: KeyRing, text: str) -> str | None:
    found = ring.find(text)
    return None if found is None else found.name


def test_a_key_gives_the_name_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    billing, kept = mint("billing", CREATED)
    other, _ = mint("other", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file)

    assert _name(ring, billing) == "billing"
    for text in (other, billing[:-1], billing + "x", "", "\udcff"):
        assert ring.find(text) is None


def test_the_file_never_holds_the_key() -> None:
    text, kept = mint("billing", CREATED)
    assert text not in kept.line()
    assert set(json.loads(kept.line())) == set(ApiKey._fields)
    assert parse(kept.line()) == [kept]
    assert mint("billing", CREATED)[1].salt != kept.salt


def test_what_a_key_may_do_is_in_its_line_and_an_old_line_may_send_to_any_table() -> None:
    limits: dict[str, Any] = {"role": "operate", "tables": ("a_*", "b"), "rate": 0.5, "burst": 9}
    _, kept = mint("billing", CREATED, **limits)
    assert parse(kept.line()) == [kept]
    old = {name: json.loads(kept.line())[name] for name in ("name", "salt", "hash", "created")}
    (read,) = parse(json.dumps(old))
    assert (read.role, read.tables, read.rate) == ("send", ("*",), None)


def test_a_new_and_a_revoked_key_take_effect_with_the_next_request(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    ring = KeyRing(file)
    first, one = mint("one", CREATED)
    second, two = mint("two", CREATED)
    assert ring.find(first) is None

    file.write_text(one.line())
    assert _name(ring, first) == "one"
    file.write_text(one.line() + "\n" + two.line())
    assert _name(ring, second) == "two"
    file.write_text(two.line())
    assert ring.find(first) is None
    file.unlink()
    assert ring.find(second) is None


class ShiftedClock:
    """A clock that the test moves, in step with the file system's."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def wall(self) -> float:
        return time.time() + self.ahead


def _becomes_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _becomes_a_link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


BREAKING: list[Callable[[Path], object]] = [
    lambda file: file.write_text(file.read_text() + '{"name": "two"'),
    lambda file: file.write_bytes(b"\xff"),
    _becomes_a_folder,
    _becomes_a_link_to_itself,
]


@pytest.mark.parametrize("break_", BREAKING)
def test_keys_outlive_an_unreadable_file_for_a_moment_only(
    tmp_path: Path, break_: Callable[[Path], object]
) -> None:
    file, clock = tmp_path / "keys", ShiftedClock()
    text, kept = mint("one", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file, clock.monotonic, clock.wall)
    break_(file)
    if file.exists():
        assert _name(ring, text) == "one"
    clock.ahead += 1
    with pytest.raises(KeysUnreadable):
        _name(ring, text)
    assert REGISTRY.get_sample_value("gatekeeper_degraded", {"part": "api_keys"}) == 1

    file.rmdir() if file.is_dir() else file.unlink()
    file.write_text("")
    assert _name(ring, text) is None
    assert REGISTRY.get_sample_value("gatekeeper_degraded", {"part": "api_keys"}) == 0


def test_a_key_revoked_while_no_file_could_be_opened_is_refused_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, clock = tmp_path / "keys", ShiftedClock()
    text, kept = mint("one", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file, clock.monotonic, clock.wall)
    file.write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", Mock(side_effect=OSError(errno.EMFILE, "too many")))
        clock.ahead += 1
        with pytest.raises(KeysUnreadable):
            _name(ring, text)
    assert _name(ring, text) is None


def test_a_change_that_leaves_the_files_times_and_size_is_noticed(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys", ShiftedClock()
    first, one = mint("one", CREATED)
    _, two = mint("two", CREATED)
    file.write_text(one.line())
    ring = KeyRing(file, clock.monotonic, clock.wall)
    ring._identity = ()
    assert _name(ring, first) == "one"

    found = file.stat()
    file.write_text(two.line())
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    ring._identity = (file.stat().st_ctime_ns, found.st_size, found.st_ino)  # a coarse clock
    clock.ahead += 0.3
    assert _name(ring, first) is None


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["create", "revoke", "break", "unreadable", "repair"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([0.0, 0.1, 1.0, 5.0]),
    ),
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(_CHANGES)
def test_no_revoked_key_is_ever_valid_a_second_later(changes: list[tuple[str, str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, clock = Path(folder, "keys"), ShiftedClock()
        minted = {name: mint(name, CREATED) for name in ("a", "b", "c")}
        file.write_text("")
        ring = KeyRing(file, clock.monotonic, clock.wall)
        present: set[str] = set()
        for change, name, seconds in changes:
            present = present | {name} if change == "create" else present - {name}
            lines = "".join(minted[each][1].line() for each in sorted(present))
            file.unlink()
            if change == "unreadable":
                file.symlink_to(file)
            else:
                file.write_text(lines + ("{" if change == "break" else ""))
            time.sleep(0.011)  # longer than a tick of the file system's clock
            clock.ahead += seconds
            for each, (text, _) in minted.items():
                try:
                    owner = _name(ring, text)
                except KeysUnreadable:
                    assert change in {"break", "unreadable"}
                    continue
                assert owner in {each, None}
                if seconds >= 1 or change not in {"break", "unreadable"}:
                    assert (owner == each) == (each in present)


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "[]",
        "{}",
        '{"name": "", "salt": "00", "hash": "00", "created": ""}',
        '{"name": "n", "salt": "zz", "hash": "00", "created": ""}',
        '{"name": "n", "salt": "00", "hash": "00", "created": ""}',
        *(
            json.dumps({"name": "n", "salt": "00" * 16, "hash": "00" * 32, "created": "", **wrong})
            for wrong in (
                {"role": "admin"},
                {"role": None},
                {"tables": "orders"},
                {"rate": 0},
                {"rate": "x"},
                {"rate": 1, "burst": 0},
            )
        ),
    ],
)
def test_a_broken_file_stops_a_start_and_names_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text("\n" + line)
    with pytest.raises(InvalidKeys, match="keys: line 2"):
        KeyRing(file)
