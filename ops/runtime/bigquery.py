"""One BigQuery query without the client's own retries: the caller decides whether to repeat it.

Workers do not use it: a transaction's job needs an id, so that a lost answer can be asked for.
"""

from collections.abc import Mapping
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator
from requests import exceptions

UNREACHABLE = (exceptions.ConnectionError, exceptions.Timeout)
"""What the client raises where no answer comes: no connection, or none in time."""


def query(
    client: bigquery.Client,
    sql: str,
    *,
    timeout: float,
    parameters: Mapping[str, str | None] | None = None,
    **options: Any,
) -> RowIterator:
    """Run SQL with STRING parameters and return its rows.

    `timeout` limits each request and the wait for the result, in seconds. `options` are properties
    of a QueryJobConfig: `default_dataset`, `maximum_bytes_billed`, `dry_run`.

    Raises GoogleAPICallError, TimeoutError, and those of UNREACHABLE.
    """
    texts = [
        bigquery.ScalarQueryParameter(name, "STRING", value)
        for name, value in (parameters or {}).items()
    ]
    return client.query_and_wait(
        sql,
        job_config=bigquery.QueryJobConfig(query_parameters=texts, **options),
        api_timeout=timeout,
        wait_timeout=timeout,
        retry=None,  # type: ignore[arg-type]  # None: never
        job_retry=None,  # type: ignore[arg-type]
    )
