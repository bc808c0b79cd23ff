"""Two workers that have the same messages at the same moment."""

import sys
from pathlib import Path

import pytest

from tests.integration.workers.conftest import Local
from tests.support.processes import Service
from tests.support.twin import INSERTS, ROUNDS


@pytest.mark.parametrize("claimed", [True, False])
def test_twins_apply_once_by_their_claims_and_not_by_the_ledgers_guard_alone(
    local: Local, name: str, tmp_path: Path, *, claimed: bool
) -> None:
    local.rows(f"CREATE TABLE {name} (a INT64)")
    claims = str(tmp_path / "claims") if claimed else "-"
    command = [sys.executable, "-m", "tests.support.twin", tmp_path]
    twins = [Service([*command, each, name, claims], **local.variables) for each in ("one", "two")]
    with twins[0], twins[1]:
        for twin in twins:
            assert twin.wait(120) == 0, twin.output
    (counted,) = local.rows(f"SELECT COUNT(*) AS n, COUNT(DISTINCT a) AS distinct_n FROM {name}")
    assert counted["distinct_n"] == ROUNDS * INSERTS
    if claimed:
        assert counted["n"] == ROUNDS * INSERTS
    else:
        assert counted["n"] > ROUNDS * INSERTS, "what the claims are for"
