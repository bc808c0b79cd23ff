"""Refusals with BigQuery's reasons, statuses and texts."""

from typing import Any, Final

# https://cloud.google.com/bigquery/docs/error-messages
_STATUSES: Final = {
    "accessDenied": (403, "PERMISSION_DENIED"),
    "backendError": (503, "UNAVAILABLE"),
    "badRequest": (400, "INVALID_ARGUMENT"),
    "duplicate": (409, "ALREADY_EXISTS"),
    "internalError": (500, "INTERNAL"),
    "invalid": (400, "INVALID_ARGUMENT"),
    "invalidQuery": (400, "INVALID_ARGUMENT"),
    "notFound": (404, "NOT_FOUND"),
    "rateLimitExceeded": (403, "PERMISSION_DENIED"),
    "requestTooLarge": (413, "INVALID_ARGUMENT"),
    "resourcesExceeded": (400, "INVALID_ARGUMENT"),
    "stopped": (400, "CANCELLED"),
}
_QUOTA_PAGE: Final = (
    "For more information, see https://cloud.google.com/bigquery/docs/troubleshoot-quotas"
)
# They refuse a request; the others refuse a job.
_OF_REQUESTS: Final = frozenset(
    {"location", "not_found_after_duplicate", "request_bytes", "sql_bytes"}
)


class Refused(Exception):
    """A request or a job is refused by a rule; "" is the service itself, not a rule."""

    def __init__(self, rule: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.rule, self.reason, self.message = rule, reason, message
        self.of_request = rule in _OF_REQUESTS

    @property
    def status(self) -> int:
        return _STATUSES.get(self.reason, (400, ""))[0]

    @property
    def item(self) -> dict[str, str]:
        """The error as a job's `errorResult`."""
        item = {"reason": self.reason, "message": self.message}
        return item | ({"location": "query"} if self.reason == "invalidQuery" else {})

    @property
    def body(self) -> dict[str, Any]:
        """The error as the answer to a request."""
        status = _STATUSES.get(self.reason, (400, "INVALID_ARGUMENT"))[1]
        errors = [{**self.item, "domain": "global"}]
        error = {"code": self.status, "message": self.message, "errors": errors, "status": status}
        return {"error": error}


def job_not_found(project: str, job: str, rule: str = "location") -> Refused:
    return Refused(rule, "notFound", f"Not found: Job {project}:{job}")


def dataset_not_found(dataset: str, location: str) -> Refused:
    message = f"Not found: Dataset {dataset} was not found in location {location}"
    return Refused("location", "notFound", message)


def duplicate_job(project: str, location: str, job: str) -> Refused:
    return Refused("", "duplicate", f"Already Exists: Job {project}:{location}.{job}")


def request_too_large(sent: int, limit: int) -> Refused:
    """BigQuery answers 400, but 413 for "vastly" more: googleapis/python-bigquery pull 1409.

    The word is taken as twice the limit.
    """
    if sent > 2 * limit:
        return Refused("request_bytes", "requestTooLarge", "Request Entity Too Large")
    message = f"Request payload size exceeds the limit: {limit} bytes."
    return Refused("request_bytes", "badRequest", message)


def sql_too_long() -> Refused:
    message = (
        "The query is too large. The maximum standard SQL query length is 1024.00K characters, "
        "including comments and white space characters."
    )
    return Refused("sql_bytes", "invalid", message)


def dml_rate(table: str) -> Refused:
    # The page gives the limit; the text follows that of other table operations.
    message = f"Exceeded rate limits: too many DML statements for this table: {table}. "
    return Refused("dml_rate", "rateLimitExceeded", message + _QUOTA_PAGE)


def ddl_rate() -> Refused:
    # The text: OHDSI/CohortMethod issue 94.
    message = "Exceeded rate limits: too many table update operations for this table. "
    return Refused("ddl_rate", "rateLimitExceeded", message + _QUOTA_PAGE)


def too_many_outstanding(rule: str, table: str, limit: int) -> Refused:
    """Return the refusal with the text that m-lab/etl-gardener issue 293 reports."""
    message = (
        "Resources exceeded during query execution: Too many DML statements outstanding against "
        f"table {_legacy(table)}, limit is {limit}."
    )
    return Refused(rule, "resourcesExceeded", message)


def too_many_tables(limit: int) -> Refused:
    # The page gives the limit and no text.
    message = f"Transaction cannot mutate data in more than {limit} tables"
    return Refused("transaction_tables", "invalidQuery", message)


def ddl_in_transaction(kind: str) -> Refused:
    message = f"{kind} TABLE is not supported in a transaction; DDL on permanent entities is not"
    return Refused("transaction_ddl", "invalidQuery", message)


def conflict(table: str, transaction: str) -> Refused:
    message = (
        f"Transaction is aborted due to concurrent update against table {_legacy(table)}. "
        f"Transaction ID: {transaction}"
    )
    return Refused("transaction_conflict", "invalidQuery", message)


def timed_out(seconds: float) -> Refused:
    message = f"Job execution was cancelled: Job timed out after {seconds:g}s"
    return Refused("job_timeout", "stopped", message)


def cancelled() -> Refused:
    return Refused("", "stopped", "Job execution was cancelled: User requested cancellation")


def _legacy(table: str) -> str:
    return table.replace(".", ":", 1)
