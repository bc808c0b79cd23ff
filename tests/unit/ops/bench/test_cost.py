from ops.bench import cost
from ops.bench.capacity import Load


def test_past_its_capacity_a_fleet_is_told_how_many_workers_would_keep_up() -> None:
    result = cost.run(Load(rate=1_000, workers=2, batch_max_messages=1_000, job_seconds=4))
    assert "500 transactions/s at the most" in result.notes[0]
    assert "4 would keep up" in result.notes[0]


def test_every_quota_has_the_page_that_says_it() -> None:
    result = cost.run(Load())
    marks = {row[-1] for grid in result.grids for row in grid.rows if row[-1]}
    listed = {note.partition(" ")[0]: note for note in result.notes if note.startswith("[")}
    assert marks <= listed.keys()
    assert all("https://" in note for note in listed.values())
