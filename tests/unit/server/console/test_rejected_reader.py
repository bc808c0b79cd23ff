from typing import Any

from server.console.rejected_reader import LARGEST, ROWS, summarize


def row(id_: str, at: str, tables: str | None = "t", number: int = 1, **more: Any) -> Any:
    found = {"id": id_, "reason": "table_missing", "tables": tables, "settled_at": at}
    return {**found, "number": number, "place": 1, **more}


def test_each_reason_and_each_table_is_counted_once_for_each_transaction() -> None:
    found = summarize(
        [
            row("a", "3", "t,u", 5),
            row("b", "2", "t,u", 5, place=2),
            row("c", "1", "t", 2, reason="type_conflict"),
            row("d", "0", None, 3),
        ]
    )
    assert found["reasons"] == [("table_missing", 8), ("type_conflict", 2)]
    assert found["tables"] == [("t", 7), ("u", 5)]
    assert found["other_tables"] == 0


def test_the_latest_are_answered_whatever_the_order_of_the_rows() -> None:
    rows = [row(f"{n:03}", f"{n:03}", place=1 + n % 2) for n in range(2 * ROWS)]
    latest = summarize(rows)["latest"]
    assert [each["id"] for each in latest] == [f"{n:03}" for n in reversed(range(ROWS, 2 * ROWS))]
    assert set(latest[0]) == {"id", "reason", "tables", "settled_at"}


def test_small_tables_are_counted_together() -> None:
    rows = [row(str(n), str(n), f"t{n}", 100 - n) for n in range(LARGEST + 2)]
    found = summarize(rows)
    assert len(found["tables"]) == LARGEST
    assert found["other_tables"] == 90 + 89
