"""The rejected transactions and their outcomes in BigQuery: reads them, and resolves them."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import tenacity

from ops.rejections.selection import Selection
from ops.rejections.stored_rejection import StoredRejection
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from ops.runtime.warehouse_errors import (
    Conflicted,
    OutcomeUnknown,
    WarehouseUnavailable,
    classify,
)
from schema import (
    LEDGER_TABLE,
    REJECTED_TABLE,
    Rejection,
    Settled,
    ledger_table,
    rejected_table,
    settled_rows,
)

JOB_SECONDS = 60.0
"""For one query, unless the caller has less time."""
KEYS_A_QUERY = 1_000
LAST_OF_A_BODY: Final = "ROW_NUMBER() OVER (PARTITION BY id, sha256 ORDER BY settled_at DESC) = 1"
"""Of an id with one body the last rejection counts: SQL on rows of `gatekeeper_rejected`."""
MAX_BYTES = 256_000_000
"""Reading stops when the bodies in memory exceed this, whatever the limit."""
# A statement that conflicts with a worker's commit is retried. If the service is unreachable, the
# command fails soon, because a person waits.
_RETRY_SECONDS = {Conflicted: 20.0, WarehouseUnavailable: 10.0, OutcomeUnknown: 2.0}
_COLUMNS: Final = (
    "id, sha256, reason, error, source, tables, ordering_key, lane, received_at, settled_at, "
    "body_bytes"
)

type Resolution = Literal["replayed", "discarded"]


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

    def __init__(self, settings: Settings, job_seconds: float = JOB_SECONDS) -> None:
        self._dataset = settings.dataset_path
        self._job_seconds = job_seconds
        self._client = clients.warehouse(settings)

    def close(self) -> None:
        self._client.close()

    def open_rejections(
        self, selection: Selection, *, newest: bool = False, bodies: bool = False
    ) -> tuple[list[StoredRejection], bool]:
        """Return the chosen unresolved ones, oldest first, and whether there are more of them.

        Of an id with one body, the last rejection counts. Above the limit it returns the `newest`,
        else the oldest. Without `bodies`, BigQuery does not bill for them.
        """
        text, parameters = open_rejections_sql(
            self._dataset, selection, newest=newest, bodies=bodies
        )
        found: list[StoredRejection] = []
        size, more = 0, False
        for row in self._job(text, parameters):
            more = len(found) == selection.limit or size > MAX_BYTES
            if more:
                break
            found.append(StoredRejection.read(row))
            size += len(found[-1].data or b"")
        return found[::-1] if newest else found, more

    def resolve(self, rows: Sequence[StoredRejection], resolution: Resolution) -> None:
        """Mark rejections as resolved, and the earlier ones of the same id and body.

        One that is rejected again meanwhile stays open.
        """
        by_lane: dict[int, list[StoredRejection]] = {}
        for row in rows:
            by_lane.setdefault(row.lane, []).append(row)
        for lane, own in by_lane.items():
            for some in itertools.batched(own, KEYS_A_QUERY, strict=False):
                self._resolve(lane, some, resolution)

    def _resolve(self, lane: int, rows: Sequence[StoredRejection], resolution: Resolution) -> None:
        text = (
            f"UPDATE `{self._dataset}.{rejected_table(lane)}` "  # noqa: S608  # our own names
            "SET resolution = @resolution, resolved_at = CURRENT_TIMESTAMP() "
            "WHERE resolution IS NULL AND settled_at <= CAST(@newest AS TIMESTAMP) "
            "AND CONCAT(id, ' ', sha256) IN UNNEST(JSON_VALUE_ARRAY(@resolved))"
        )
        parameters = {
            "resolution": resolution,
            "newest": max(row.settled_at for row in rows).isoformat(" "),
            "resolved": json.dumps([f"{row.id} {row.sha256}" for row in rows]),
        }
        self._job(text, parameters)

    def look_up(self, ids: Sequence[str], since: datetime | None = None) -> Settled:
        """Return all outcomes of some ids: id → sha256 → the rejection, None if applied.

        With `since`, only what was settled from then on: BigQuery then reads less.
        """
        rows: dict[str, Mapping[str, Rejection | None]] = {}
        text = (
            f"SELECT id, sha256, reason, error FROM `{self._dataset}.{LEDGER_TABLE}` "  # noqa: S608  # our own names
            "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids))"
        )
        parameters = {}
        if since:
            text += " AND settled_at >= CAST(@since AS TIMESTAMP)"
            parameters["since"] = since.isoformat(" ")
        for some in itertools.batched(ids, KEYS_A_QUERY, strict=False):
            rows |= settled_rows(self._job(text, {"ids": json.dumps(some), **parameters}))
        return rows

    def delete_rejected(self, keys: Sequence[LaneKey]) -> None:
        """Delete the ledger's `rejected` rows of some transactions; `applied` rows always stay."""
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
    def _job(self, text: str, parameters: Mapping[str, str]) -> Iterable[Mapping[str, Any]]:
        """Run one query, and return its rows as they are read. Each query can safely run twice."""
        return query(self._client, text, timeout=self._job_seconds, parameters=parameters)


def open_rejections_sql(
    dataset: str, selection: Selection, *, newest: bool, bodies: bool
) -> tuple[str, dict[str, str]]:
    """Return the query, one row above the limit, and its parameters.

    The reason is that of the last rejection, so it must not filter before the last one is found.
    """
    conditions = dict(selection.conditions)
    last = LAST_OF_A_BODY
    if reason := conditions.get("reason"):
        last += f" AND {reason[0]}"
    before = ["resolution IS NULL"]
    before += [text for name, (text, _) in conditions.items() if name != "reason"]
    order = "DESC" if newest else "ASC"
    text = (
        f"SELECT {_COLUMNS}{', body, raw' if bodies else ''} FROM `{dataset}.{REJECTED_TABLE}` "  # noqa: S608  # our own names
        f"WHERE {' AND '.join(before)} QUALIFY {last} "
        f"ORDER BY settled_at {order}, received_at {order}, id {order} LIMIT {selection.limit + 1}"
    )
    return text, {name: value for name, (_, value) in conditions.items()}
