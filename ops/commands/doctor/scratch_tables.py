"""Scratch tables in the dataset, for `gatekeeper doctor --try`."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.cloud import bigquery

from ops.commands.doctor.check_result import CheckSkipped
from ops.commands.google_failure import CALL_ERRORS


@dataclass(frozen=True, slots=True)
class ScratchTables:
    """Scratch tables of one run, and the client that reaches them."""

    client: bigquery.Client
    dataset: str
    local: bool
    seconds: float
    prefix: str

    def table(self, name: str) -> str:
        return f"`{self.dataset}.{self.prefix}{name}`"

    def run(
        self, sql: str, *, session: str | None = None, job_id: str | None = None
    ) -> bigquery.QueryJob:
        """Run a script to its end; raises the client's errors, retries nothing."""
        config = bigquery.QueryJobConfig(use_query_cache=False)
        if session is not None:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", session)]
        job = self.client.query(
            sql,
            config,
            job_id=job_id,
            retry=None,  # type: ignore[arg-type]  # None: never
            job_retry=None,
            timeout=self.seconds,
        )
        job.result(retry=None, job_retry=None, timeout=self.seconds)
        return job

    def value(self, sql: str) -> object:
        """Return the first value of the first row."""
        return next(iter(self.run(sql).result()))[0]

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], bigquery.QueryJob]]:
        """Yield a function that runs statements in one session, and with it its transaction."""
        config = bigquery.QueryJobConfig(create_session=True)
        job = self.client.query("SELECT 1", config, timeout=self.seconds)
        job.result(timeout=self.seconds)
        if job.session_info is None or job.session_info.session_id is None:
            raise CheckSkipped("this BigQuery has no sessions")
        session = job.session_info.session_id
        try:
            yield lambda sql: self.run(sql, session=session)
        finally:
            with contextlib.suppress(*CALL_ERRORS):
                self.run("CALL BQ.ABORT_SESSION()", session=session)

    def remove(self) -> None:
        """Delete every table of this run."""
        found = self.client.list_tables(self.dataset, timeout=self.seconds)
        for each in [each for each in found if each.table_id.startswith(self.prefix)]:
            self.client.delete_table(each.reference, not_found_ok=True, timeout=self.seconds)
