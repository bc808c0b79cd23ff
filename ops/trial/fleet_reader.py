"""Reads the evidence of an audit from a fleet: ledger, tables, dead letters and backlog."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.runtime import backlog, clients
from ops.runtime.settings import Settings
from ops.trial import readback
from ops.trial.comparison import Evidence, LedgerRow, outcomes_of
from ops.trial.dead_letter_queue import opened
from ops.trial.expected import Expected, RowName, replay
from ops.trial.journal import History, SentKey
from ops.trial.model import ModelRow
from schema import LEDGER_TABLE, lane_of_id, ledger_table

IDS_A_QUERY: Final = 10_000
PARALLEL_TABLES: Final = 4
POLL_SECONDS: Final = 1.0
POLL_SHARE: Final = 10
"""The pause after a poll is this multiple of the poll's duration, to leave the fleet its time."""
LONGEST_PAUSE_SECONDS: Final = 10.0
JOB_SECONDS: Final = 300.0
MANY_LETTERS: Final = 1_000_000
_QUIET_SECONDS = 5.0
_BACKLOG_SECONDS = 5.0
_UNAVAILABLE = (GoogleAPICallError, requests.RequestException, OSError)


class Unreachable(Exception):
    """A service that the audit must read does not answer; the text names it."""


class FleetReader:
    """Reads one fleet; `close` it. Every method raises Unreachable after `patience` seconds."""

    def __init__(self, settings: Settings, patience: float = 20.0) -> None:
        self._settings = settings
        self._patience = patience
        self._client = clients.warehouse(settings)

    def close(self) -> None:
        self._client.close()

    async def settled(self, ids: Iterable[str]) -> dict[SentKey, list[LedgerRow]]:
        """Return the ledger's rows of some ids, in the order of settling."""
        found: dict[SentKey, list[LedgerRow]] = {}
        for some in itertools.batched(dict.fromkeys(ids), IDS_A_QUERY, strict=False):
            parameter = bigquery.ScalarQueryParameter("ids", "STRING", json.dumps(some))
            sql = self._ledger_query(some)
            for row in await self._retried("the ledger", self._query, sql, [parameter]):
                settled = LedgerRow(row["state"], row["reason"], row["settled_at"].isoformat())
                found.setdefault((row["id"], row["sha256"]), []).append(settled)
        return found

    def _ledger_query(self, ids: Iterable[str]) -> str:
        """Return SQL that reads the lanes of these ids, or all for an id that names no lane."""
        lanes = {lane_of_id(id_, self._settings.lanes) for id_ in ids}
        known = sorted(lane for lane in lanes if lane is not None)
        tables = [LEDGER_TABLE] if None in lanes else map(ledger_table, known)
        return (
            " UNION ALL ".join(
                "SELECT id, sha256, state, reason, settled_at "  # noqa: S608  # our own names
                f"FROM `{self._settings.dataset_path}.{table}` "
                "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids))"
                for table in tables
            )
            + " ORDER BY settled_at"
        )

    async def backlog(self) -> int:
        """Return how many messages of the subscription are not acknowledged."""
        found = await self._retried("Pub/Sub", backlog.read, self._settings, _BACKLOG_SECONDS)
        return int(found.unacked)

    async def tables(
        self, expected: Expected
    ) -> tuple[dict[str, dict[str, str]], dict[RowName, list[ModelRow]]]:
        """Return the types and rows of the existing tables that the load names."""
        existing = await self._retried("the tables", self._tables)
        types: dict[str, dict[str, str]] = {}
        rows: dict[RowName, list[ModelRow]] = {}
        slots = asyncio.Semaphore(PARALLEL_TABLES)

        async def read(name: str) -> None:
            async with slots:
                path = f"{self._settings.dataset_path}.{name}"
                types[name] = await self._retried(name, readback.types_of, self._client, path)
                columns = expected.asked.get(name, {})
                columns = {each: columns[each] for each in sorted(columns.keys() & types[name])}
                if not columns.keys() >= {"stream", "n"}:
                    return
                for values in await self._retried(name, self._rows, path, columns):
                    row = dict(zip(columns, values, strict=True))
                    rows.setdefault((name, row["stream"] or "", row["n"] or ""), []).append(row)

        await asyncio.gather(*map(read, sorted(expected.named & existing)))
        return types, rows

    async def letters(self) -> dict[SentKey, set[str]] | None:
        """Return the reasons on the dead-letter subscription by transaction, and remove nothing.

        None when there are more than can be pulled in one go.
        """
        async with opened(self._settings) as queue:
            pulled = await queue.pull(MANY_LETTERS, _QUIET_SECONDS)
            if queue.more:
                return None
            letters: dict[SentKey, set[str]] = {}
            for letter in pulled:
                letters.setdefault((letter.id, letter.sha256), set()).add(letter.reason)
            return letters

    async def execute(self, sql: str) -> None:
        """Run one statement, as someone else would who does not use Gatekeeper."""
        await self._retried("BigQuery", self._query, sql, [])

    def _tables(self) -> set[str]:
        return {each.table_id for each in self._client.list_tables(self._settings.dataset_path)}

    def _rows(self, path: str, columns: Mapping[str, Any]) -> list[tuple[str | None, ...]]:
        return list(readback.rows(self._client, path, columns))

    def _query(self, sql: str, parameters: list[bigquery.ScalarQueryParameter]) -> list[Any]:
        config = bigquery.QueryJobConfig(
            default_dataset=self._settings.dataset_path, query_parameters=parameters
        )
        job = self._client.query(sql, job_config=config, timeout=JOB_SECONDS)
        return list(job.result(timeout=JOB_SECONDS))

    async def _retried(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                return await asyncio.to_thread(call, *arguments)
            except NotFound as error:
                raise Unreachable(f"{what}: {error.message}") from error
            except _UNAVAILABLE as error:
                if time.monotonic() > give_up:
                    text = " ".join(str(error).split())[:300]
                    raise Unreachable(f"{what} cannot be read: {text}") from error
            await asyncio.sleep(POLL_SECONDS)


async def wait_until_settled(
    reader: FleetReader,
    ids: Iterable[str],
    *,
    patience: float,
    on_progress: Callable[[int, int], None],
) -> None:
    """Return when all ids are in the ledger and the subscription is empty.

    Returns too when nothing has changed for `patience` seconds. `on_progress` gets how many of
    the ids are in the ledger, and the backlog.
    """
    missing = list(dict.fromkeys(ids))
    total = len(missing)
    last: tuple[int, int] | None = None
    changed = time.monotonic()
    while True:
        started = time.monotonic()
        some = missing[:IDS_A_QUERY]
        there = {key[0] for key in await reader.settled(some)} if some else set()
        missing = [each for each in missing if each not in there] if there else missing
        unacked = await reader.backlog()
        on_progress(total - len(missing), unacked)
        if not missing and not unacked:
            return
        if (len(missing), unacked) != last:
            last, changed = (len(missing), unacked), time.monotonic()
        elif time.monotonic() - changed > patience:
            return
        if len(there) < IDS_A_QUERY:
            pause = POLL_SHARE * (time.monotonic() - started)
            await asyncio.sleep(min(max(POLL_SECONDS, pause), LONGEST_PAUSE_SECONDS))


async def gather(
    reader: FleetReader, history: History, *, with_letters: bool, on_progress: Callable[[str], None]
) -> Evidence:
    """Read all evidence for a comparison with this history."""
    on_progress("reading the ledger")
    ledger = await reader.settled([sent.id for sent in history.all()])
    on_progress("replaying the journal")
    expected = await asyncio.to_thread(replay, history, outcomes_of(ledger))
    on_progress("reading the tables")
    types, rows = await reader.tables(expected)
    letters = None
    if with_letters:
        on_progress("reading the dead letters")
        letters = await reader.letters()
    return Evidence(ledger, types, rows, letters, await reader.backlog())
