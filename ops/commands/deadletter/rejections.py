"""What the ledger holds of dead letters, and the deletion of a rejection that is to be replayed."""

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
# The workers commit to the ledger all the time; a delete that meets one of them goes again. A
# service that does not answer is told soon: a person waits.
_RETRY_SECONDS = {Failure.CONFLICT: 20.0, Failure.TRANSIENT: 10.0, Failure.UNKNOWN: 2.0}

type Rows = Mapping[str, Mapping[str, Settled]]  # id → sha256 → outcome


def _given_up(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    patience = _RETRY_SECONDS.get(classify(error), 0.0) if error else 0.0
    return (state.seconds_since_start or 0.0) >= patience


class Ledger:
    """The ledger, for an operator's command. Blocks: call it from a thread, and `close` it.

    All methods raise what BigQuery's client raises, after passing failures were tried again.
    """

    def __init__(self, settings: Settings) -> None:
        self._dataset = settings.dataset_path
        self._client = clients.warehouse(settings)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def look_up(self, ids: Sequence[str]) -> Rows:
        """Return all outcomes that the ledger holds of some ids."""
        rows: dict[str, Mapping[str, Settled]] = {}
        for some in itertools.batched(ids, KEYS_A_QUERY, strict=False):
            rows |= settled(self._job(*sql.look_up(self._dataset, some)))
        return rows

    def forget_rejected(self, keys: Sequence[Key]) -> None:
        """Delete the `rejected` rows of some (id, sha256); an `applied` row always stays."""
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
        """Run one query. Both kinds may run twice, so a lost answer is no matter."""
        return list(query(self._client, text, timeout=JOB_SECONDS, parameters=parameters))
