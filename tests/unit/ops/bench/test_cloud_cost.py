from ops.bench import cloud_cost
from ops.bench.capacity import AssumedLoad


def test_a_rate_above_the_capacity_gets_the_number_of_workers_it_needs() -> None:
    result = cloud_cost.run(
        AssumedLoad(rate=1_000, workers=2, batch_max_messages=1_000, job_seconds=4)
    )
    assert "500 transactions/s at most" in result.notes[0]
    assert "Use 4 workers" in result.notes[0]


def test_every_quota_names_its_page() -> None:
    result = cloud_cost.run(AssumedLoad())
    marks = {row[-1] for table in result.tables for row in table.rows if row[-1]}
    listed = {note.partition(" ")[0]: note for note in result.notes if note.startswith("[")}
    assert marks <= listed.keys()
    assert all("https://" in note for note in listed.values())
