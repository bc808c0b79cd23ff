import json
from pathlib import Path
from typing import Any

import pytest

from ops.runtime.api_keys import ApiKey, InvalidKeys, KeyRing, mint, parse

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


def test_a_broken_file_leaves_the_keys_in_force(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    text, kept = mint("one", CREATED)
    file.write_text(kept.line())
    ring = KeyRing(file)
    file.write_text(kept.line() + '{"name": "two"')
    assert _name(ring, text) == "one"


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
