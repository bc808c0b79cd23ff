"""The rules that the strict BigQuery keeps, their limits, and the pages they come from."""

from dataclasses import dataclass, field
from typing import Final

RULES: Final = {
    "location": "https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/get#query-parameters",
    "not_found_after_duplicate": "https://github.com/googleapis/python-bigquery/issues/2134",
    "dml_rate": "https://cloud.google.com/bigquery/quotas#data-manipulation-language-statements",
    "ddl_rate": "https://cloud.google.com/bigquery/quotas#standard_tables",
    "daily_inserts": "https://cloud.google.com/bigquery/docs/data-manipulation-language#insert_dml_concurrency",
    "queued_mutations": "https://cloud.google.com/bigquery/docs/data-manipulation-language#update_delete_merge_dml_concurrency",
    "request_bytes": "https://cloud.google.com/bigquery/quotas#query_jobs",
    "sql_bytes": "https://cloud.google.com/bigquery/quotas#query_jobs",
    "transaction_tables": "https://cloud.google.com/bigquery/docs/transactions#limitations",
    "transaction_ddl": "https://cloud.google.com/bigquery/docs/transactions#statements_supported_in_transactions",
    "transaction_conflict": "https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency",
    "lossy_cast": "https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules",
    "job_timeout": "https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration",
}
"""Each rule and its page. A rule can be switched off by its name."""

MULTI_REGIONS: Final = frozenset({"us", "eu"})
"""Locations in which a job is found without its location: the page of `location`."""


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """The documented limits, and which rules are in force."""

    rules: frozenset[str] = field(default_factory=lambda: frozenset(RULES))
    location: str = "US"
    dml_statements: int = 25
    """In `window_seconds` on one table; INSERT, UPDATE, DELETE and MERGE together."""
    ddl_statements: int = 5
    """In `window_seconds` on one table: "table metadata update operations"."""
    window_seconds: float = 10.0
    daily_inserts: int = 1_500
    """INSERTs into a table in 24 hours that run without waiting."""
    concurrent_inserts: int = 10
    """INSERTs into a table at the same time after that."""
    queued_inserts: int = 100
    queued_mutations: int = 20
    """UPDATE, DELETE and MERGE statements outside transactions that wait for one table."""
    request_bytes: int = 10 * 2**20
    """The error text of BigQuery gives 10485760: googleapis/google-cloud-go issue 2855."""
    sql_characters: int = 1024 * 1000
    """1 MB, "1024.00K characters" in the error text."""
    transaction_tables: int = 100

    def in_force(self, rule: str) -> bool:
        return rule in self.rules


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that jobs take; statements of one script run one after the other.

    https://cloud.google.com/bigquery/docs/multi-statement-queries. The figures are assumptions:
    Google documents no latency.
    """

    job: float = 1.0
    statement: float = 0.7
    """Of a DML statement."""
    late_share: float = 0.0
    """The share of jobs that end `late_seconds` later, whatever their limit and who cancels them:
    cancelling and jobTimeoutMs are best effort, says the page of `job_timeout`."""
    late_seconds: float = 30.0
    stuck_table: str = ""
    """A table on which no statement ends, `project.dataset.table`; "" is none."""
