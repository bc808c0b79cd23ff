import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from ops.commands.query import TABLE_ROWS, _write_csv, _write_json, _write_table

NAMES = ["number", "text", "amount", "at", "day", "clock", "raw", "many"]
ROW = (
    1,
    "ü [bold]x[/bold]",
    Decimal("1E+3"),
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    date(2026, 1, 2),
    time(3, 4),
    b"\x00\xff",
    [{"a": Decimal("0.10")}],
)


def test_json_has_an_object_a_line_with_exact_values(capsys: pytest.CaptureFixture[str]) -> None:
    _write_json(NAMES, [ROW, [None] * len(NAMES)])
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {
        "number": 1,
        "text": "ü [bold]x[/bold]",
        "amount": "1000",
        "at": "2026-01-02T03:04:05+00:00",
        "day": "2026-01-02",
        "clock": "03:04:00",
        "raw": "AP8=",
        "many": [{"a": "0.10"}],
    }
    assert set(json.loads(second).values()) == {None}


def test_csv_has_a_header_and_leaves_null_empty(capsys: pytest.CaptureFixture[str]) -> None:
    _write_csv(["a", "b", "c"], [(1, 'say "x", please', None), (True, [1], 1.5)])
    assert capsys.readouterr().out.splitlines() == [
        "a,b,c",
        '1,"say ""x"", please",',
        "true,[1],1.5",
    ]


def test_a_table_shows_null_and_takes_no_markup_from_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _write_table(["text", "none"], [("[bold]x[/bold]", None)])
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "NULL" in shown
    assert "1 row" in shown


def test_rows_that_are_wider_than_the_terminal_are_records(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _write_table(["id", "text"], [(1, "x" * 50), (2, None)])
    narrow = capsys.readouterr().out
    assert "row 1" not in narrow
    _write_table(["id", "text"], [(1, "x" * 52), (2, "[bold]y[/bold]")])
    wide = capsys.readouterr().out
    assert wide.startswith("row 1")
    assert "row 2" in wide
    assert "[bold]y[/bold]" in wide
    assert max(map(len, wide.splitlines())) <= 60


def test_a_long_table_prints_the_number_of_hidden_rows(capsys: pytest.CaptureFixture[str]) -> None:
    _write_table(["n"], ([each] for each in range(TABLE_ROWS + 5)))
    assert "1,000 rows shown, 5 more: use --csv" in capsys.readouterr().out


def test_a_statement_without_rows_prints_done(capsys: pytest.CaptureFixture[str]) -> None:
    _write_table([], [])
    assert "done" in capsys.readouterr().out
