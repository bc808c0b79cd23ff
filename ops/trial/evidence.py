"""Gathers what a fleet shows: its ledger, its tables, its dead letters and its backlog."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.commands.deadletter.dead_letter_queue import opened
from ops.runtime import backlog, clients
from ops.runtime.settings import Settings
from ops.trial import readback
from ops.trial.compare import Evidence, LedgerRow
from ops.trial.expected import Expected, RowName, replay
from ops.trial.journal import History, Key
from ops.trial.model import Row
from schema import LEDGER_TABLE

IDS_A_QUERY: Final = 10_000
TABLES_AT_ONCE: Final = 4
POLL_SECONDS: Final = 1.0
POLL_SHARE: Final = 10
"""Looking leaves the fleet so many times as much time for its own work."""
JOB_SECONDS: Final = 300.0
MANY_LETTERS: Final = 1_000_000
_QUIET_SECONDS = 5.0
_ASK_SECONDS = 5.0

_AWAY = (GoogleAPICallError, requests.RequestException, OSError)


class Unreachable(Exception):
    """A service that the audit must read does not answer; the text says which."""


class Reader:
    """Reads one fleet. `close` it. All methods raise Unreachable after some tries."""

    def __init__(self, settings: Settings, patience: float = 20.0) -> None:
        self._settings = settings
        self._patience = patience
        self._client = clients.warehouse(settings)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    async def settled(self, ids: Iterable[str]) -> dict[Key, list[LedgerRow]]:
        """Return the ledger's rows of some ids, in the order of settling."""
        found: dict[Key, list[LedgerRow]] = {}
        text = (
            "SELECT id, sha256, state, reason, settled_at "  # noqa: S608  # the name is a constant
            f"FROM `{self._settings.dataset_path}.{LEDGER_TABLE}` "
            "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids)) ORDER BY settled_at"
        )
        for some in itertools.batched(dict.fromkeys(ids), IDS_A_QUERY, strict=False):
            for row in await self._try("the ledger", self._query, text, {"ids": json.dumps(some)}):
                key = row["id"], row["sha256"]
                settled = LedgerRow(row["state"], row["reason"], row["settled_at"].isoformat())
                found.setdefault(key, []).append(settled)
        return found

    async def backlog(self) -> int:
        """Return how many messages of the subscription are not acknowledged."""
        found = await self._try("Pub/Sub", backlog.read, self._settings, _ASK_SECONDS)
        return int(found.unacked)

    async def tables(
        self, expected: Expected
    ) -> tuple[dict[str, dict[str, str]], dict[RowName, list[Row]]]:
        """Return the types and rows of all tables that the load named, those that are there."""
        there = await self._try("the tables", self._tables)
        types: dict[str, dict[str, str]] = {}
        rows: dict[RowName, list[Row]] = {}
        slots = asyncio.Semaphore(TABLES_AT_ONCE)

        async def one(name: str) -> None:
            async with slots:
                path = f"{self._settings.dataset_path}.{name}"
                types[name] = await self._try(name, readback.types_of, self._client, path)
                columns = {
                    column: declared
                    for column, declared in expected.columns.get(name, {}).items()
                    if column in types[name]
                }
                if not columns.keys() >= {"stream", "n"}:
                    return
                names = sorted(columns)
                for values in await self._try(name, self._rows, path, columns):
                    row = dict(zip(names, values, strict=True))
                    rows.setdefault((name, row["stream"] or "", row["n"] or ""), []).append(row)

        await asyncio.gather(*map(one, sorted(expected.named & there)))
        return types, rows

    async def letters(self) -> dict[Key, set[str]] | None:
        """Return the reasons on the dead-letter subscription by transaction, taking nothing away.

        None when there are more than can be pulled at once.
        """
        async with opened(self._settings) as queue:
            pulled = await queue.pull(MANY_LETTERS, _QUIET_SECONDS)
            if queue.more:
                return None
            letters: dict[Key, set[str]] = {}
            for letter in pulled:
                letters.setdefault((letter.id, letter.sha256), set()).add(letter.reason)
            return letters

    async def execute(self, sql: str) -> None:
        """Run one statement, as someone else would who knows nothing of Gatekeeper."""
        await self._try("BigQuery", self._query, sql, {})

    def _tables(self) -> set[str]:
        return {each.table_id for each in self._client.list_tables(self._settings.dataset_path)}

    def _rows(self, path: str, columns: Mapping[str, Any]) -> list[tuple[str | None, ...]]:
        return list(readback.rows(self._client, path, columns))

    def _query(self, sql: str, parameters: Mapping[str, str]) -> list[Any]:
        config = bigquery.QueryJobConfig(
            default_dataset=self._settings.dataset_path,
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                for name, value in parameters.items()
            ],
        )
        job = self._client.query(sql, job_config=config, timeout=JOB_SECONDS)
        return list(job.result(timeout=JOB_SECONDS))

    async def _try(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                return await asyncio.to_thread(call, *arguments)
            except NotFound as error:
                raise Unreachable(f"{what}: {error.message}") from error
            except _AWAY as error:
                if time.monotonic() > give_up:
                    said = " ".join(str(error).split())[:300]
                    raise Unreachable(f"{what} cannot be read: {said}") from error
            await asyncio.sleep(POLL_SECONDS)


async def wait_until_settled(
    reader: Reader,
    ids: Iterable[str],
    *,
    patience: float,
    told: Callable[[int, int], None],
    empty: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Return when all ids are in the ledger and the subscription is empty.

    Returns too when nothing has changed for `patience` seconds. `told` hears how many of the ids
    are in the ledger, and the backlog.
    """
    missing = list(dict.fromkeys(ids))
    total = len(missing)
    last: tuple[int, int] | None = None
    changed = time.monotonic()
    while True:
        asked = time.monotonic()
        some = missing[:IDS_A_QUERY]
        there = {key[0] for key in await reader.settled(some)} if some else set()
        if there:
            missing = [each for each in missing if each not in there]
        waiting = await reader.backlog()
        told(total - len(missing), waiting)
        if not missing and not waiting and (empty is None or await empty()):
            return
        if (len(missing), waiting) != last:
            last, changed = (len(missing), waiting), time.monotonic()
        elif time.monotonic() - changed > patience:
            return
        if len(there) < IDS_A_QUERY:
            await asyncio.sleep(max(POLL_SECONDS, POLL_SHARE * (time.monotonic() - asked)))


async def gather(
    reader: Reader, history: History, *, with_letters: bool, told: Callable[[str], None]
) -> Evidence:
    """Read everything that a comparison with this history needs."""
    told("reading the ledger")
    ids = [sent.id for sent in history.all()]
    ledger = await reader.settled(ids)
    told("replaying the journal")
    expected = await asyncio.to_thread(replay, history, outcomes_of(ledger))
    told("reading the tables")
    types, rows = await reader.tables(expected)
    letters = None
    if with_letters:
        told("reading the dead letters")
        letters = await reader.letters()
    return Evidence(ledger, types, rows, letters, await reader.backlog())


def outcomes_of(ledger: Mapping[Key, list[LedgerRow]]) -> dict[Key, str | None]:
    """Return each transaction's outcome: the reason of its rejection, None when applied."""
    return {key: rows[0].reason for key, rows in ledger.items()}
