"""The statements of a script that change tables, without those of the lane around them."""

from collections.abc import Sequence

from workers import sql
from workers.table_change import TableChange

_NOTHING = sql.LaneSettlement(0, 0, "2024-01-01 00:00:00+00:00", [], [])


def change_statements(dataset: str, changes: Sequence[TableChange]) -> tuple[str, dict[str, str]]:
    """Return the statements, one a line, and their parameters."""
    script = sql.script(dataset, changes, _NOTHING)
    lines = script.sql.split("\n")
    assert lines[2].startswith("ASSERT"), lines
    return "\n".join(lines[3:-2]), script.parameters
