import pytest

from ops.bench import capacity
from ops.bench.capacity import AssumedLoad, TransactionBytes

WEIGHTS = TransactionBytes(body=400.0, message=600.0, script=300.0)


def test_a_batch_is_what_arrives_during_a_job() -> None:
    found = capacity.estimate(AssumedLoad(rate=200, workers=2, job_seconds=2.5), WEIGHTS)
    assert found.batch == 250
    assert found.batches == pytest.approx(2 / 2.5)


def test_a_trickle_is_applied_one_by_one() -> None:
    found = capacity.estimate(AssumedLoad(rate=0.1, workers=2, job_seconds=2.5), WEIGHTS)
    assert found.batch == 1
    assert found.batches == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("settings", "batch"),
    [
        ({"batch_max_messages": 500}, 500),
        ({"batch_max_messages": 10_000, "batch_max_bytes": 40_000}, 100),
        ({"batch_max_messages": 10_000_000, "batch_max_bytes": 10**12}, 9_500_000 / 300),
    ],
)
def test_a_batch_ends_at_its_messages_its_bytes_or_the_request(
    settings: dict[str, int], batch: float
) -> None:
    found = capacity.estimate(AssumedLoad(rate=1e6, workers=1, **settings), WEIGHTS)
    assert found.batch == pytest.approx(batch)


def test_statements_grow_with_tables_and_sets_of_columns_and_not_with_the_rate() -> None:
    base = AssumedLoad(rate=400, workers=1, tables=10)
    assert capacity.estimate(base, WEIGHTS).statements == 21
    assert capacity.estimate(base._replace(rate=800), WEIGHTS).statements == 21
    assert capacity.estimate(base._replace(column_sets=2), WEIGHTS).statements == 41


def test_the_largest_batch_fits_a_request() -> None:
    best = capacity.largest_batch(TransactionBytes(body=1_000, message=1_200, script=3_000))
    assert best.messages == 3_166
    assert best.bytes == 3_166_000
