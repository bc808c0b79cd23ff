from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.contracts import ViolationStore, violation_store
from server.contracts.violation_counts import OTHER, Occurrences, ViolationKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ViolationKey("orders", "2.1.0", "shop", "orders", "item", "contract_enum", refused=True)


def seen(count: int = 1, *examples: str, at: float = 0) -> Occurrences:
    return Occurrences(count, at, at, "a message", list(examples))


def test_counts_of_several_servers_and_days_are_added(tmp_path: Path) -> None:
    one, other = (ViolationStore(tmp_path / "v.sqlite") for _ in range(2))
    one.add({KEY: seen(2, "a", at=5)}, NOW - timedelta(days=1))
    other.add({KEY: seen(3, "b", "c", "d", at=7)}, NOW)
    one.add({KEY: seen(1, "e", at=9)}, NOW)
    (found,) = one.read(days=2, now=NOW)
    assert found.key == KEY
    assert found.occurrences == Occurrences(6, 5, 9, "a message", ["e", "b", "c"])
    (today,) = one.read(days=1, now=NOW)
    assert today.occurrences.count == 4


def test_the_most_frequent_come_first(tmp_path: Path) -> None:
    store = ViolationStore(tmp_path / "v.sqlite")
    rare = KEY._replace(column="price")
    store.add({rare: seen(1), KEY: seen(2)}, NOW)
    assert [each.key for each in store.read(days=1, now=NOW)] == [KEY, rare]


def test_a_store_without_a_file_is_empty(tmp_path: Path) -> None:
    assert ViolationStore(tmp_path / "v.sqlite").read(days=1) == []


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    store = ViolationStore(tmp_path / "v.sqlite")
    store.add({KEY: seen()}, NOW)
    store.add({KEY._replace(column="b"): seen()}, NOW + timedelta(days=31))
    found = store.read(days=100, now=NOW + timedelta(days=31))
    assert [each.key.column for each in found] == ["b"]


def test_a_full_store_counts_new_names_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(violation_store, "MAX_ROWS", 2)
    store = ViolationStore(tmp_path / "v.sqlite")
    for number in range(5):
        store.add({KEY._replace(column=f"c{number}"): seen()}, NOW)
    found = {each.key.column: each.occurrences.count for each in store.read(days=1, now=NOW)}
    assert found == {OTHER: 3, "c0": 1, "c1": 1}
