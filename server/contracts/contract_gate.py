"""Judges transactions by the contracts in force, and keeps what breaks them for the report."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

import schema
from ops.runtime import log, metrics
from ops.runtime.contracts_in_force import ContractsInForce
from ops.runtime.settings import Settings
from schema.contracts import ContractSet, Violation, open_key_faults
from server.contracts.violation_counts import Occurrences, ViolationCounts, ViolationKey
from server.contracts.violation_store import ViolationStore, violations_file

WRITE_SECONDS: Final = 1.0
"""Between two writes of the counts."""
MAX_LOGGED: Final = 20
"""Lines of the log for one write, the most frequent violations first."""
MAX_SERIES: Final = 200
"""Label sets of the metric: a further contract is counted as `other`."""

logger = log.get(__name__)


class ContractGate:
    """Checks in microseconds; writes in a thread, each second, while `run` runs."""

    def __init__(self, contracts: ContractsInForce, store: ViolationStore, max_bytes: int) -> None:
        self.contracts = contracts
        self._store = store
        self._max_bytes = max_bytes
        self._counts = ViolationCounts()
        self._series: set[tuple[str, str, str]] = set()

    def check(
        self, body: bytes, transaction: schema.Transaction, most: int, *, is_sent: bool
    ) -> tuple[list[schema.Fault], bytes]:
        """Return the faults for which the contracts refuse a transaction, about `most`.

        Among them are upserts without a key whose table has no contract with a primary key.
        Without faults, also the body as it may leave this process: contracts may hide values.
        With `is_sent` what breaks a contract is counted, whether it is refused or only reported.
        """
        contracts = self.contracts.current  # one set for all: the next may come meanwhile
        faults = open_key_faults(transaction, contracts.tables, most)
        violations = contracts.violations(transaction, most)
        hides = contracts.transforms.concern(transaction)
        if hides:
            violations += contracts.transforms.violations(transaction)
        if violations and is_sent:
            self._counts.add(violations, time.time())
        refused = [each for each in violations if each.refused]
        if faults or refused:
            return [*faults, *_faults(body, refused)], b""
        return self._hidden(contracts, body) if hides else ([], body)

    def _hidden(self, contracts: ContractSet, body: bytes) -> tuple[list[schema.Fault], bytes]:
        hidden = contracts.transforms.apply(body)
        if len(hidden) <= max(self._max_bytes, len(body)):
            return [], hidden
        message = (
            f"the body has {len(hidden):,} bytes after gatekeeper.transform, and at most"
            f" {self._max_bytes:,} are accepted"
        )
        return [schema.Fault("", "contract_transform", message, None)], b""

    async def run(self) -> None:
        """Write the counts until cancelled, and a last time then."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self._write()
        finally:
            await asyncio.shield(self._write())

    async def _write(self) -> None:
        tallies = self._counts.take()
        if not tallies:
            return
        for key, tally in tallies.items():
            self._count(key, tally.count)
        _log(tallies)
        try:
            await asyncio.to_thread(self._store.add, tallies, datetime.now(UTC))
        except (sqlite3.Error, OSError) as error:
            logger.warning("violations_not_kept", counts=len(tallies), error=str(error))

    def _count(self, key: ViolationKey, count: int) -> None:
        series = key.contract, key.rule, "refused" if key.refused else "reported"
        if series not in self._series and len(self._series) >= MAX_SERIES:
            series = "other", *series[1:]
        self._series.add(series)
        metrics.CONTRACT_VIOLATIONS.labels(*series).inc(count)


CONTRACT_GATE: Final = web.AppKey("contract_gate", ContractGate)


@contextlib.asynccontextmanager
async def open_contract_gate(
    settings: Settings, contracts: ContractsInForce
) -> AsyncIterator[ContractGate]:
    """Watch the contracts' folder and write the counts, while the gate is in use."""
    gate = ContractGate(
        contracts, ViolationStore(violations_file(settings)), settings.max_body_bytes
    )
    tasks = [
        asyncio.create_task(contracts.watch(), name="contracts"),
        asyncio.create_task(gate.run(), name="violations"),
    ]
    try:
        yield gate
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _faults(body: bytes, violations: Iterable[Violation]) -> list[schema.Fault]:
    payload = schema.loads(body)
    return [
        schema.Fault(each.pointer, each.rule, each.message, _got(payload, each))
        for each in violations
    ]


def _got(payload: object, violation: Violation) -> object:
    is_missing = violation.rule == "contract_required" and violation.pointer.endswith("col_names")
    return None if is_missing else schema.value_at(payload, violation.pointer)


def _log(tallies: dict[ViolationKey, Occurrences]) -> None:
    """Log names and counts: no values, which the log must not have."""
    frequent = sorted(tallies.items(), key=lambda each: -each[1].count)
    for key, tally in frequent[:MAX_LOGGED]:
        logger.warning("contract_violated", **key._asdict(), count=tally.count)
