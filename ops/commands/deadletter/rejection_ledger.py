"""The outcomes of dead letters in the ledger, and the deletion of a rejection before a replay."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tenacity

from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE, Rejection, ledger_table
from workers.dedupe import Settled, settled_rows
from workers.errors import (
    Conflicted,
    OutcomeUnknown,
    WarehouseUnavailable,
    classify,
)

JOB_SECONDS = 30.0
KEYS_A_QUERY = 1_000
# A delete that conflicts with a worker's commit is retried. If the service is unreachable, the
# command fails soon, because a person waits.
_RETRY_SECONDS = {Conflicted: 20.0, WarehouseUnavailable: 10.0, OutcomeUnknown: 2.0}


class LaneKey(NamedTuple):
    """A settled transaction: the lane of its ledger, its id, its body's hash."""

    lane: int
    id: str
    sha256: str


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
        self._client.close()

    def look_up(self, ids: Sequence[str]) -> Settled:
        """Return all outcomes of some ids: id → sha256 → the rejection, None if applied."""
        rows: dict[str, Mapping[str, Rejection | None]] = {}
        text = (
            f"SELECT id, sha256, reason, error FROM `{self._dataset}.{LEDGER_TABLE}` "  # noqa: S608  # our own names
            "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids))"
        )
        for some in itertools.batched(ids, KEYS_A_QUERY, strict=False):
            rows |= settled_rows(self._job(text, {"ids": json.dumps(some)}))
        return rows

    def delete_rejected(self, keys: Sequence[LaneKey]) -> None:
        """Delete the `rejected` rows of some transactions; `applied` rows always stay."""
        by_lane: dict[int, list[str]] = {}
        for key in keys:
            by_lane.setdefault(key.lane, []).append(f"{key.id} {key.sha256}")
        for lane, pairs in by_lane.items():
            text = (
                f"DELETE FROM `{self._dataset}.{ledger_table(lane)}` WHERE state = 'rejected' "  # noqa: S608  # our own names
                "AND CONCAT(id, ' ', sha256) IN UNNEST(JSON_VALUE_ARRAY(@settled))"
            )
            for some in itertools.batched(pairs, KEYS_A_QUERY, strict=False):
                self._job(text, {"settled": json.dumps(some)})

    @tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: classify(error) in _RETRY_SECONDS),
        stop=_given_up,
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=3),
        reraise=True,
    )
    def _job(self, text: str, parameters: Mapping[str, str]) -> list[Mapping[str, str | None]]:
        """Run one query. Both queries can safely run twice."""
        return list(query(self._client, text, timeout=JOB_SECONDS, parameters=parameters))
