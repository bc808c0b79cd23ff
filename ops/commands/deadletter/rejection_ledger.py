"""The outcomes of dead letters in the ledger, and the deletion of a rejection before a replay."""

import itertools
import json
from collections.abc import Mapping, Sequence

import tenacity

from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE
from workers import sql
from workers.errors import Failure, classify
from workers.ledger import Key, Settled, settled

JOB_SECONDS = 30.0
KEYS_A_QUERY = 1_000
# A delete that conflicts with a worker's commit is retried. If the service is unreachable, the
# command fails soon, because a person waits.
_RETRY_SECONDS = {Failure.CONFLICT: 20.0, Failure.TRANSIENT: 10.0, Failure.UNKNOWN: 2.0}

type OutcomesById = Mapping[str, Mapping[str, Settled]]  # id → sha256 → outcome


def _given_up(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    patience = _RETRY_SECONDS.get(classify(error), 0.0) if error else 0.0
    return (state.seconds_since_start or 0.0) >= patience


class RejectionLedger:
    """Blocks: call it from a thread, and `close` it.

    All methods retry transient failures, then raise the error of BigQuery's client.
    """

    def __init__(self, settings: Settings) -> None:
        self._dataset = settings.dataset_path
        self._client = clients.warehouse(settings)

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def look_up(self, ids: Sequence[str]) -> OutcomesById:
        """Return all outcomes of some ids."""
        rows: dict[str, Mapping[str, Settled]] = {}
        for some in itertools.batched(ids, KEYS_A_QUERY, strict=False):
            rows |= settled(self._job(*sql.look_up(self._dataset, some)))
        return rows

    def delete_rejected(self, keys: Sequence[Key]) -> None:
        """Delete the `rejected` rows of some (id, sha256); `applied` rows always stay."""
        text = (
            f"DELETE FROM `{self._dataset}.{LEDGER_TABLE}` WHERE state = 'rejected' "  # noqa: S608  # the name is a constant
            "AND CONCAT(id, ' ', sha256) IN UNNEST(JSON_VALUE_ARRAY(@settled))"
        )
        for some in itertools.batched(keys, KEYS_A_QUERY, strict=False):
            self._job(text, {"settled": json.dumps([" ".join(key) for key in some])})

    @tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: classify(error) in _RETRY_SECONDS),
        stop=_given_up,
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=3),
        reraise=True,
    )
    def _job(self, text: str, parameters: Mapping[str, str]) -> list[Mapping[str, str | None]]:
        """Run one query. Both queries can safely run twice."""
        return list(query(self._client, text, timeout=JOB_SECONDS, parameters=parameters))
