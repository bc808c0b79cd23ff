import contextlib
from pathlib import Path

import pytest

from schema import compose_message
from server.publish import SpoolFailed, encode
from server.spool.lookup import find_spooled
from server.spool.state import SpoolFlag
from server.spool.store import SpoolStore


def stored(id_: str, body: bytes = b"{}") -> tuple[str, bytes]:
    message = compose_message(
        body, id=id_, source="shop", received_at="2026-01-01T10:00:00+00:00", ordering_key="t"
    )
    return "lane-00", encode(message).SerializeToString()


def test_a_message_is_found_by_its_id_alone(tmp_path: Path, flag: SpoolFlag) -> None:
    assert find_spooled(tmp_path, "a1") is None
    with contextlib.closing(SpoolStore(tmp_path, flag, 1_000_000)) as store:
        store.append([[stored("other", b'"a1"'), stored("a1"), stored("r1")]])
        store.settle([], [(3, "too large")])
        found = find_spooled(tmp_path, "a1")
        assert found is not None
        assert (found.message.id, found.message.source, found.error) == ("a1", "shop", None)
        refused = find_spooled(tmp_path, "r1")
        assert refused is not None
        assert refused.error == "too large"
        assert find_spooled(tmp_path, "a") is None
        assert find_spooled(tmp_path, "%") is None


def test_a_search_ends_in_time(tmp_path: Path, flag: SpoolFlag) -> None:
    with contextlib.closing(SpoolStore(tmp_path, flag, 100_000_000)) as store:
        store.append([[stored(f"{number}") for number in range(20_000)]])
    with pytest.raises(SpoolFailed, match="interrupted"):
        find_spooled(tmp_path, "not there", seconds=0.0)


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite3").write_bytes(b"x" * 4096)
    with pytest.raises(SpoolFailed, match=r"spool\.sqlite3"):
        find_spooled(tmp_path, "a1")
