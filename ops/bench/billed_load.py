"""What BigQuery bills for a load: bytes on demand, or slots. Pure."""

import math
from typing import Final, NamedTuple

from ops.bench import cloud_limits
from ops.bench.capacity import AssumedLoad, BatchEstimate, estimate
from ops.bench.cloud_limits import MIB, TIB

DAY: Final = 86_400
_HOUR: Final = 3_600
_LEDGER_ROW_BYTES: Final = 2 + 32 + 8
"""Of a ledger row's `id` and `settled_at`, which the guard reads."""
_SLACK_SECONDS: Final = 60
"""By which the guard looks further back than the oldest message: workers.commit.CLOCK_SLACK."""
_KEY_SHARE: Final = 8 / 57
"""Of a row of the sample transactions, its key: the part that a MERGE reads to find its rows."""
_SLOT_SECONDS_A_STATEMENT: Final = 2.0
_SLOT_SECONDS_A_GB: Final = 10.0
"""Both are assumptions: Google publishes none."""
_HEADROOM: Final = 1.5
"""Capacity over the rate, below which settings are not recommended."""


class BilledBytes(NamedTuple):
    """Bytes billed a second, on demand."""

    head: float
    """Of the heads and of the ledgers that their UPDATEs read."""
    tables: float
    ledger: float

    @property
    def total(self) -> float:
        return sum(self)


def billed(load: AssumedLoad, found: BatchEstimate, *, wide: bool = False) -> BilledBytes:
    """Return what the batches of a load bill; `wide`: with an Idempotency-Key in each batch."""
    batches = found.batches
    return BilledBytes(
        head=batches * (_minimum(0) + _minimum(_guard_bytes(load, found, wide=wide))),
        tables=batches * found.tables * _minimum(_merge_bytes(load)),
        ledger=batches * _minimum(0),
    )


def _minimum(size: float) -> float:
    """Round up as BigQuery does: to a megabyte, and to ten."""
    return max(math.ceil(size / MIB) * MIB, cloud_limits.MIN_QUERY_BYTES.value)


def _guard_bytes(load: AssumedLoad, found: BatchEstimate, *, wide: bool) -> float:
    """Return what the guard reads of a lane's ledger: the hours that its window touches."""
    window = found.seconds + found.job_seconds + _SLACK_SECONDS
    if wide:
        window += load.idempotency_hours * _HOUR
    rows_an_hour = found.batch / found.seconds * _HOUR
    return rows_an_hour * (window / _HOUR + 1) * _LEDGER_ROW_BYTES


def _merge_bytes(load: AssumedLoad) -> float:
    """Return what a MERGE bills: the partitions it is bounded to, and the key it reads in them."""
    return load.table_bytes * load.partitions / load.table_partitions * (1 + _KEY_SHARE)


def dollars(bytes_a_second: float) -> float:
    """Return the price of a day on demand."""
    return bytes_a_second * DAY / TIB * cloud_limits.DOLLARS_A_TIB_SCANNED.value


def slot_dollars(load: AssumedLoad, found: BatchEstimate) -> float:
    """Return the price of a day with autoscaled slots that never scale to zero."""
    read = found.batches * found.tables * _merge_bytes(load) / 1e9
    used = found.batches * found.statements * _SLOT_SECONDS_A_STATEMENT + read * _SLOT_SECONDS_A_GB
    step = cloud_limits.SLOT_STEP.value
    slots = math.ceil(used / step) * step
    return slots * 24 * cloud_limits.DOLLARS_A_SLOT_HOUR.value


def cheapest(load: AssumedLoad) -> AssumedLoad:
    """Return the load with the number of lanes that costs least and still keeps its freshness."""
    lanes = sorted({1, 2, 4, 8, 16, 32, 64, 128, 256, load.lanes})
    candidates = [load._replace(lanes=each) for each in lanes]
    fitting = [each for each in candidates if _keeps_up(each)]
    return min(fitting or [load], key=lambda each: min(prices(each)))


def _keeps_up(load: AssumedLoad) -> bool:
    found = estimate(load)
    return found.capacity >= load.rate * _HEADROOM and found.job_seconds <= load.freshness


def prices(load: AssumedLoad) -> tuple[float, float]:
    """Return the dollars of a day for BigQuery, on demand and with slots."""
    found = estimate(load)
    return dollars(billed(load, found).total), slot_dollars(load, found)
