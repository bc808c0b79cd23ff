"""Google's limits and prices that a fleet in the cloud meets, each with the page it comes from."""

from typing import Final, NamedTuple


class CloudLimit(NamedTuple):
    """A limit or a price, and its page."""

    value: float
    source: str


TIB: Final = 2**40
MIB: Final = 2**20

_BIGQUERY = "https://cloud.google.com/bigquery"
_PUBSUB = "https://cloud.google.com/pubsub"
_QUOTAS = f"{_BIGQUERY}/quotas"
_DML = f"{_BIGQUERY}/docs/data-manipulation-language"

DML_PER_TABLE_10_S: Final = CloudLimit(25, f"{_QUOTAS}#data-manipulation-language-statements")
CONCURRENT_INSERTS: Final = CloudLimit(10, f"{_DML}#insert_dml_concurrency")
"""On one table, after the first 1,500 of a day; a hundred more wait in a queue."""
CONCURRENT_MUTATIONS: Final = CloudLimit(2, f"{_DML}#update_delete_merge_dml_concurrency")
TABLES_A_TRANSACTION: Final = CloudLimit(100, f"{_BIGQUERY}/docs/transactions#limitations")
REQUEST_BYTES: Final = CloudLimit(10_000_000, f"{_QUOTAS}#query_jobs")
CALLS_A_SECOND: Final = CloudLimit(100, f"{_QUOTAS}#api_request_quotas")
"""Of one method by one account."""
TIB_SCANNED_A_DAY: Final = CloudLimit(200, f"{_BIGQUERY}/docs/custom-quotas")
"""QueryUsagePerDay of a project, unless it was changed; on demand only."""
DML_BYTES: Final = CloudLimit(
    10 * MIB,
    f"{_BIGQUERY}/docs/reference/standard-sql/dml-syntax#on-demand_query_size_calculation",
)
"""An INSERT bills the columns that it reads; UPDATE, DELETE and MERGE also the whole table, or the
partitions that they change."""
PRUNING: Final = CloudLimit(0, f"{_BIGQUERY}/docs/querying-partitioned-tables")
"""Only a constant bound on the partition column leaves partitions out, a join does not."""
MIN_QUERY_BYTES: Final = CloudLimit(10 * MIB, f"{_BIGQUERY}/pricing#on_demand_pricing")
"""Billed for every table that a statement refers to."""
DOLLARS_A_TIB_SCANNED: Final = CloudLimit(6.25, f"{_BIGQUERY}/pricing#on_demand_pricing")
"""In the US."""
DOLLARS_A_SLOT_HOUR: Final = CloudLimit(0.04, f"{_BIGQUERY}/pricing#capacity_compute_pricing")
"""Standard edition, pay as you go, in the US."""
SLOT_STEP: Final = CloudLimit(50, f"{_BIGQUERY}/docs/slots-autoscaling-intro")
"""The autoscaler adds slots in such steps, each for at least a minute."""

KEY_BYTES_A_SECOND: Final = CloudLimit(1_000_000, f"{_PUBSUB}/quotas#resource_limits")
PUBLISHED_BYTES_A_SECOND: Final = CloudLimit(50_000_000, f"{_PUBSUB}/quotas#quotas")
"""In a small region; large ones have more."""
MIN_PUBSUB_BYTES: Final = CloudLimit(1_000, f"{_PUBSUB}/pricing")
"""Billed for every publish or pull request."""
DOLLARS_A_TIB_PUBLISHED: Final = CloudLimit(40, f"{_PUBSUB}/pricing")
MESSAGE_OVERHEAD: Final = CloudLimit(20 + 16, f"{_PUBSUB}/pricing")
"""Bytes of a message's time and of its id."""
