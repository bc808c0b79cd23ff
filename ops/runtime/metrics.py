"""Every metric, declared once, with its meaning; the sets of label values are closed.

All processes declare all metrics, so that every group on the Pushgateway has the same names.
Units are in the names: seconds, bytes, or a plain count.
"""

from collections.abc import Iterable
from typing import Final

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from ops.runtime.build_version import build_version
from ops.runtime.largest_counts import LargestCounts

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)

# The first Gatekeeper's own two.
VALID = Counter("valid_payload_count", "Payloads that met the schema rule.")
INVALID = Counter("invalid_payload_count", "Payloads that broke the schema rule or were not JSON.")

# The server.
REQUESTS = Counter(
    "gatekeeper_requests", "HTTP requests, by route pattern and status.", ["route", "status"]
)
REQUEST_SECONDS = Histogram(
    "gatekeeper_request_seconds",
    "From a request's head to its answer.",
    ["route"],
    buckets=_FAST,
)
REQUESTS_IN_FLIGHT = Gauge("gatekeeper_requests_in_flight", "Requests being answered now.")
FAULTS = Counter("gatekeeper_faults", "Faults named in verdicts, by rule.", ["rule"])
CONTRACT_VIOLATIONS = Counter(
    "gatekeeper_contract_violations",
    "Places where transactions broke a contract; the first 200 label sets, then `other`.",
    ["contract", "rule", "outcome"],
)
PUBLISHED = Counter("gatekeeper_published", "Transactions that Pub/Sub has confirmed.")
PUBLISH_SECONDS = Histogram(
    "gatekeeper_publish_seconds", "From the publish queue to Pub/Sub's confirmation.", buckets=_FAST
)
PUBLISH_BATCH = Histogram(
    "gatekeeper_publish_batch_transactions", "Transactions in one Publish call.", buckets=_SIZES
)
PUBLISH_QUEUE = Gauge(
    "gatekeeper_publish_queue_transactions", "Transactions waiting for a Publish call."
)
PUBLISH_FAILURES = Counter(
    "gatekeeper_publish_failures", "Transactions answered 503 because Pub/Sub did not accept them."
)
DEGRADED = Gauge("gatekeeper_degraded", "1 while this part does not work for a process.", ["part"])
SPOOLED = Counter("gatekeeper_spooled", "Transactions accepted into the disk spool.")
SPOOL_FAILURES = Counter(
    "gatekeeper_spool_failures",
    "Transactions that the disk spool did not accept: full, or failing.",
)
SPOOL_REPLAYED = Counter(
    "gatekeeper_spool_replayed", "Spooled transactions that Pub/Sub has confirmed."
)
SPOOL_REFUSED = Counter(
    "gatekeeper_spool_refused", "Spooled transactions that Pub/Sub refuses; kept in the spool."
)
# Set by the one server that replays; 0 in all others, so that sums are correct.
SPOOL_MESSAGES = Gauge("gatekeeper_spool_messages", "Transactions in the disk spool.")
SPOOL_BYTES = Gauge("gatekeeper_spool_bytes", "Bytes of the transactions in the disk spool.")
SPOOL_OLDEST = Gauge("gatekeeper_spool_oldest_seconds", "Age of the oldest of them.")
SPOOL_MAX_BYTES = Gauge("gatekeeper_spool_max_bytes", "SPOOL_MAX_BYTES.")

# The workers.
PULLED = Counter("gatekeeper_pulled", "Messages received from the subscription.")
APPLIED = Counter("gatekeeper_applied", "Transactions committed to the warehouse.")
DEAD_LETTERED = Counter(
    "gatekeeper_dead_lettered", "Transactions rejected permanently, by reason.", ["reason"]
)
SKIPPED = Counter(
    "gatekeeper_redeliveries_skipped", "Deliveries whose outcome the ledger already held."
)
BATCH_TRANSACTIONS = Histogram(
    "gatekeeper_batch_transactions", "Transactions in a batch.", buckets=_SIZES
)
ACTIVITIES_IN = Counter("gatekeeper_activities", "Activities that entered a fold.")
ROWS_OUT = Counter(
    "gatekeeper_folded_rows",
    "Rows and keys sent after the fold.",
    ["operation"],
)
STATEMENTS = Counter("gatekeeper_statements", "Data statements sent (the ledger's not counted).")
TRANSACTION_SECONDS = Histogram(
    "gatekeeper_transaction_seconds", "One warehouse transaction, submit to commit.", buckets=_SLOW
)
END_TO_END_SECONDS = Histogram(
    "gatekeeper_end_to_end_seconds", "From received by the server to committed.", buckets=_SLOW
)
CONFLICTS = Counter(
    "gatekeeper_conflicts", "Warehouse transactions cancelled over a concurrent one."
)
FENCED = Counter(
    "gatekeeper_fenced", "Commits refused as the lane or the ledger had changed meanwhile."
)
UNKNOWN_OUTCOMES = Counter(
    "gatekeeper_unknown_outcomes", "Submissions whose answer was lost and had to be requested."
)
BISECTIONS = Counter("gatekeeper_bisections", "Batches cut to find the transaction that fails.")
HALTED = Gauge(
    "gatekeeper_halted", "1 in a worker that was stopped because it rejected too many transactions."
)
# At most three of each halted worker.
HALT_REJECTIONS = Gauge(
    "gatekeeper_halt_rejections",
    "The most frequent rejections of a worker that was stopped because of them.",
    ["source", "table", "reason"],
)
LANE_OLDEST = Gauge(
    "gatekeeper_lane_oldest_seconds",
    "Age of the oldest message of a lane that this worker has, waiting or in a batch; 0: none.",
    ["lane"],
)
LEASES = Gauge("gatekeeper_leases", "Messages held under a lease now.")
LEASE_EXTENSIONS = Counter("gatekeeper_lease_extensions", "Leases extended.")
LEASES_LOST = Counter("gatekeeper_leases_lost", "Leases that ran out before the batch was done.")
STREAM_FAILURES = Counter("gatekeeper_stream_failures", "Streams to the subscription that broke.")

# Servers count what is accepted, workers the rest.
_OUTCOMES: Final = ("accepted", "applied", "rejected")
TABLE_TRANSACTIONS = LargestCounts(
    "gatekeeper_table_transactions",
    "Transactions by table, one of several tables once for each; the 200 largest, then `other`.",
    "table",
    _OUTCOMES,
)
SOURCE_TRANSACTIONS = LargestCounts(
    "gatekeeper_source_transactions",
    "Transactions by source, the API key's name; the 200 largest, then `other`.",
    "source",
    _OUTCOMES,
)

# The notifier.
NOTIFICATIONS_SENT = Counter(
    "gatekeeper_notifications_sent", "Notifications of rejections that a receiver has accepted."
)
NOTIFICATION_FAILURES = Counter(
    "gatekeeper_notification_failures", "Attempts to send a notification that failed."
)
NOTIFICATIONS_DROPPED = Counter(
    "gatekeeper_notifications_dropped",
    "Notifications that no receiver got: a day old, too many, or the receiver wants no more.",
)
NOTIFICATIONS_WAITING = Gauge("gatekeeper_notifications_waiting", "Notifications that are due.")
NOTIFICATIONS_OLDEST = Gauge(
    "gatekeeper_notifications_oldest_seconds", "How long the oldest of them has been due."
)

# The autoscaler.
BACKLOG_TRANSACTIONS = Gauge(
    "gatekeeper_backlog_transactions",
    "Transactions not applied yet, from Pub/Sub; NaN while unknown.",
)
BACKLOG_OLDEST_AGE = Gauge(
    "gatekeeper_backlog_oldest_age_seconds", "Age of the oldest of them; NaN while unknown."
)
MISSED_SAMPLES = Counter("gatekeeper_backlog_unseen", "Samples of the backlog that failed.")
AUTOSCALE_TARGET = Gauge(
    "gatekeeper_autoscale_target_seconds", "The largest wanted age of the oldest."
)
AUTOSCALE_DECISIONS = Counter(
    "gatekeeper_autoscale_decisions", "Changes of the number of workers.", ["direction"]
)
WORKERS_WANTED = Gauge("gatekeeper_workers_wanted", "The wanted number of workers.")

# Every process.
BUILD = Gauge("gatekeeper_build_info", "1, with the version of the program.", ["version"])
BUILD.labels(build_version()).set(1)
RETRIES = Counter("gatekeeper_retries", "Retries of calls after a transient error.", ["cause"])
PUSH_FAILURES = Counter(
    "gatekeeper_push_failures", "Times that the metrics could not be pushed, or shown otherwise."
)


def count_transaction(outcome: str, source: str, tables: Iterable[str]) -> None:
    """Count a transaction by its source and by each of its tables."""
    SOURCE_TRANSACTIONS.add(outcome, source)
    for table in tables:
        TABLE_TRANSACTIONS.add(outcome, table)
