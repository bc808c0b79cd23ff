"""Google's own numbers that a fleet in the cloud meets, each with the page that says it."""

from typing import Final, NamedTuple


class Limit(NamedTuple):
    """A number of Google's and where it stands."""

    value: float
    source: str


_QUOTAS = "https://cloud.google.com/bigquery/quotas"
_DML = "https://cloud.google.com/bigquery/docs/data-manipulation-language"
_PUBSUB = "https://cloud.google.com/pubsub/quotas"

DML_PER_TABLE_10_S: Final = Limit(25, f"{_QUOTAS}#data-manipulation-language-statements")
INSERTS_AT_ONCE: Final = Limit(10, f"{_DML}#insert_dml_concurrency")
"""On one table, after the first 1,500 of a day; a hundred more wait in line."""
MUTATIONS_AT_ONCE: Final = Limit(2, f"{_DML}#update_delete_merge_dml_concurrency")
TABLES_A_TRANSACTION: Final = Limit(
    100, "https://cloud.google.com/bigquery/docs/transactions#limitations"
)
REQUEST_BYTES: Final = Limit(10_000_000, f"{_QUOTAS}#query_jobs")
QUERY_CHARACTERS: Final = Limit(1_000_000, f"{_QUOTAS}#query_jobs")
CALLS_A_SECOND: Final = Limit(100, f"{_QUOTAS}#api_request_quotas")
"""Of one method by one account."""
DML_BYTES: Final = (
    "https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax"
    "#on-demand_query_size_calculation"
)
LEAST_QUERY_BYTES: Final = Limit(10 * 2**20, "https://cloud.google.com/bigquery/pricing")
"""Billed for every table that a query refers to."""
DOLLARS_A_TIB_SCANNED: Final = Limit(6.25, "https://cloud.google.com/bigquery/pricing")

KEY_BYTES_A_SECOND: Final = Limit(1_000_000, f"{_PUBSUB}#resource_limits")
PUBLISHED_BYTES_A_SECOND: Final = Limit(50_000_000, f"{_PUBSUB}#quotas")
"""In a small region; large ones have more."""
LEAST_PUBSUB_BYTES: Final = Limit(1_000, "https://cloud.google.com/pubsub/pricing")
"""Billed for every publish or pull request."""
DOLLARS_A_TIB_PUBLISHED: Final = Limit(40, "https://cloud.google.com/pubsub/pricing")
MESSAGE_OVERHEAD: Final = Limit(20 + 16, "https://cloud.google.com/pubsub/pricing")
"""Bytes of a message's time and of its id."""
