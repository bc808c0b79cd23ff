import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from requests.exceptions import ConnectionError as Unreachable

from ops.commands import export
from ops.commands.__main__ import main

Shown = pytest.CaptureFixture[str]
ROWS: list[dict[str, Any]] = [
    {"id": "a1", "raw": b"\xff", "settled_at": datetime(2026, 1, 2, tzinfo=UTC)},
    {"id": "a2", "raw": None, "settled_at": datetime(2026, 1, 3, tzinfo=UTC)},
]


def test_the_query_names_every_column_and_takes_the_time_as_a_parameter() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    text, parameters = export.export_sql("rejected", "1d", now)
    assert text.startswith("SELECT id, sha256, reason, ")
    assert text.endswith(
        "resolved_at FROM gatekeeper_rejected WHERE settled_at >= CAST(@since AS TIMESTAMP)"
    )
    assert parameters == {"since": "2026-01-01 00:00:00+00:00"}
    assert export.export_sql("ledger", "", now)[1] == {}


def test_a_file_is_whole_or_not_there(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "_rows", lambda *_: iter(ROWS))
    assert main(["export", "rejected", "--output", "rejected.ndjson"]) == 0
    assert capsys.readouterr().out == "rejected.ndjson: 2 rows\n"
    lines = [json.loads(line) for line in Path("rejected.ndjson").read_text().splitlines()]
    assert lines[0] == {"id": "a1", "raw": "/w==", "settled_at": "2026-01-02T00:00:00+00:00"}
    assert main(["export", "rejected"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines

    def breaks(*_: object) -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise Unreachable("cut")

    monkeypatch.setattr(export, "_rows", breaks)
    assert main(["export", "ledger", "--output", "ledger.ndjson"]) == 1
    assert "BigQuery does not answer" in capsys.readouterr().err
    assert [file.name for file in tmp_path.glob("*.ndjson*")] == ["rejected.ndjson"]


def test_a_file_that_cannot_be_written_is_one_line(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "_rows", lambda *_: iter(ROWS))
    assert main(["export", "ledger", "--output", "/nowhere/x"]) == 1
    printed = capsys.readouterr().err
    assert "/nowhere/x: No such file" in printed
    assert len(printed.splitlines()) == 1
