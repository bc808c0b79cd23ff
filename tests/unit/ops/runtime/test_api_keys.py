import json
from pathlib import Path

import pytest

from ops.runtime.api_keys import InvalidKeys, KeyRing, mint, parse

CREATED = "2026-01-01T00:00:00+00:00"


def test_a_key_gives_the_name_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    billing, kept = mint("billing", CREATED)
    other, _ = mint("other", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file)

    assert ring.owner(billing) == "billing"
    for text in (other, billing[:-1], billing + "x", "", "\udcff"):
        assert ring.owner(text) is None


def test_the_file_never_holds_the_key() -> None:
    text, kept = mint("billing", CREATED)
    assert text not in kept.line()
    assert set(json.loads(kept.line())) == {"name", "salt", "hash", "created"}
    assert parse(kept.line()) == [kept]
    assert mint("billing", CREATED)[1].salt != kept.salt


def test_a_new_and_a_revoked_key_take_effect_with_the_next_request(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    ring = KeyRing(file)
    first, one = mint("one", CREATED)
    second, two = mint("two", CREATED)
    assert ring.owner(first) is None

    file.write_text(one.line())
    assert ring.owner(first) == "one"
    file.write_text(one.line() + "\n" + two.line())
    assert ring.owner(second) == "two"
    file.write_text(two.line())
    assert ring.owner(first) is None
    file.unlink()
    assert ring.owner(second) is None


def test_a_broken_file_leaves_the_keys_in_force(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    text, kept = mint("one", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file)
    file.write_text(kept.line() + '{"name": "two"')
    assert ring.owner(text) == "one"


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "[]",
        "{}",
        '{"name": "", "salt": "00", "hash": "00", "created": ""}',
        '{"name": "n", "salt": "zz", "hash": "00", "created": ""}',
        '{"name": "n", "salt": "00", "hash": "00", "created": ""}',
    ],
)
def test_a_broken_file_stops_a_start_and_names_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text("\n" + line)
    with pytest.raises(InvalidKeys, match="keys: line 2"):
        KeyRing(file)
