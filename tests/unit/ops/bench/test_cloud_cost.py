import pytest

from ops.bench import cloud_cost
from ops.bench.billed_load import prices
from ops.bench.capacity import AssumedLoad
from ops.rig import RunFailed


def test_a_rate_above_the_capacity_gets_the_number_of_workers_it_needs() -> None:
    result = cloud_cost.run(
        AssumedLoad(
            rate=1_000,
            workers=2,
            tables=1,
            lanes=1,
            warehouse_jobs=1,
            batch_max_messages=1_000,
            statement_seconds=1,
        )
    )
    assert "250 transactions/s at most" in result.notes[0]


def test_every_quota_names_its_page() -> None:
    result = cloud_cost.run(AssumedLoad())
    marks = {row[-1] for table in result.tables for row in table.rows if row[-1]}
    listed = {note.partition(" ")[0]: note for note in result.notes if note.startswith("[")}
    assert marks <= listed.keys()
    assert all("https://" in note for note in listed.values())


@pytest.mark.parametrize(("freshness", "limit"), [(60, 30), (10, 180)])
def test_a_merge_bounded_to_a_partition_reaches_the_target(freshness: int, limit: float) -> None:
    on_demand, _ = prices(cloud_cost.TARGET_LOAD._replace(freshness=freshness))
    assert on_demand <= limit


def test_the_targets_are_reached() -> None:
    checks = {check.name: check.reached for check in cloud_cost.run(AssumedLoad()).checks}
    assert checks == {"cost_60": True, "cost_10": True}


def test_the_cheapest_settings_and_the_price_without_bounds_are_printed() -> None:
    notes = "\n".join(cloud_cost.run(cloud_cost.TARGET_LOAD._replace(freshness=60)).notes)
    assert "cheapest settings for a freshness of 60 s" in notes
    assert "LANES=" in notes
    assert "bills the whole table: on demand 3" in notes


def test_nonsense_is_refused() -> None:
    with pytest.raises(RunFailed, match="--tables"):
        cloud_cost.run(AssumedLoad(tables=0))
