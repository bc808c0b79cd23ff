from pathlib import Path

from tests.support import two_sources


def test_a_hostile_source_costs_the_other_no_transaction(tmp_path: Path) -> None:
    result = two_sources.run(tmp_path, seconds=4, seed=1)
    assert result.faults() == []
    assert min(result.attack.counts.values()) > 0, "every kind of attack was made"
