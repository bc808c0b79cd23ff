"""The local BigQuery as a separate process, and the client that the workers use."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from google.cloud import bigquery

from ops.rig import Service, free_port
from ops.runtime import clients, local_secret

DATASET = "gatekeeper-local.gatekeeper"


class Emulator:
    """One process with its own port and state directory."""

    def __init__(self, state: Path, **variables: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.state = state
        self.service = Service.module(
            "ops.local.bigquery",
            BIGQUERY_EMULATOR_HOST=self.address,
            STATE_DIR=str(state),
            LOG_LEVEL="DEBUG",
            **variables,
        )

    def __enter__(self) -> Self:
        self.service.start()
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.__exit__(None, None, None)

    def wait(self) -> None:
        self.service.wait_for_port(self.address)

    def client(self) -> bigquery.Client:
        token = local_secret.read_or_create(self.state, local_secret.BIGQUERY_FILE)
        return clients.emulated_warehouse("gatekeeper-local", self.address, token)

    def run(self, sql: str, job_id: str | None = None, **texts: str) -> bigquery.QueryJob:
        """Run a script with STRING parameters to its end; its error is raised, nothing retried."""
        parameters = [bigquery.ScalarQueryParameter(k, "STRING", v) for k, v in texts.items()]
        with self.client() as client:
            job: bigquery.QueryJob = client.query(
                sql,
                job_id=job_id or uuid.uuid4().hex,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                retry=None,
                job_retry=None,
            )
            job.result(retry=None, job_retry=None)
            return job

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], None]]:
        """Yield a function that runs statements in one session, with its transaction."""
        with self.client() as client:
            opened = client.query("SELECT 1", bigquery.QueryJobConfig(create_session=True))
            opened.result()
            assert opened.session_info is not None
            session = bigquery.ConnectionProperty("session_id", opened.session_info.session_id)
            config = bigquery.QueryJobConfig(connection_properties=[session])
            yield lambda sql: client.query(sql, config, retry=None, job_retry=None).result()
            client.query("CALL BQ.ABORT_SESSION()", config).result()

    def rows(self, sql: str, **texts: str) -> list[tuple[Any, ...]]:
        return [row.values() for row in self.run(sql, **texts).result()]

    def deleted(self, sql: str, **texts: str) -> int:
        """Run a script with one DELETE in it and return how many rows that deleted."""
        job = self.run(sql, **texts)
        with self.client() as client:
            children = list(client.list_jobs(parent_job=job.job_id))
        return sum(job.num_dml_affected_rows or 0 for job in children)


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("state")) as running:
        yield running
