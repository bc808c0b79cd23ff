"""The worker: gather, decode, settle, dead-letter, acknowledge; again, until told to stop."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Container, Mapping

from google.api_core.exceptions import GoogleAPICallError

from ops.runtime import log, metrics
from ops.runtime.settings import Settings
from workers.apply import Applier
from workers.batch import gather, join
from workers.claims import Claims, Unclaimed
from workers.dead_letter import DeadLetters
from workers.delivery import Delivery
from workers.entry import Entry, decode
from workers.guard_rail import TooManyRejected
from workers.subscription import Subscription
from workers.turns import Turns, tables
from workers.warehouse import Fence, OutcomeUnknown, WarehouseUnavailable

DRAIN_SECONDS = 10.0
"""What a stopping worker allows the batch in hand; below supervisord's stopwaitsecs."""
LONGEST_PAUSE_SECONDS = 5.0
REMEDY = (
    "nothing is lost; see what is rejected and why with `gatekeeper deadletter list`, mend it "
    "(docs/runbook.md#gatekeeperworkerhalted), then `supervisorctl restart worker:*`"
)
DECODED_AT_A_TIME = 50
"""Entries decoded between two turns of the event loop: some milliseconds of work."""

logger = log.get(__name__)


class _GivenUp(Exception):
    """The leases, or the time left to a stopping worker, ran out before the batch was settled."""


class Worker:
    """One consumer of the subscription.

    What cannot be applied now is held, in order, and tried again while its leases last: a nack
    would only bring it back, and is for a worker that leaves.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it is made of
        self,
        subscription: Subscription,
        applier: Applier,
        dead_letters: DeadLetters,
        claims: Claims,
        turns: Turns,
        settings: Settings,
    ) -> None:
        self._subscription = subscription
        self._applier = applier
        self._dead_letters = dead_letters
        self._claims = claims
        self._turns = turns
        self._settings = settings
        self._stop_by = math.inf

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish the batch in hand and give the rest back.

        A failure that nothing here handles ends the worker: supervisord starts a new one.
        """
        async with self._subscription.leasing():
            try:
                async with asyncio.TaskGroup() as group:
                    pulling = group.create_task(self._subscription.pull_forever(), name="pull")
                    group.create_task(self._work_until_halted(pulling), name="work")
                    group.create_task(self._stop_after(stop, pulling), name="stop")
            finally:
                await self._subscription.give_all_back()

    async def _stop_after(self, stop: asyncio.Event, pulling: asyncio.Task[None]) -> None:
        await stop.wait()
        logger.info("draining", waiting=len(self._subscription.inbox))
        self._stop_by = time.monotonic() + DRAIN_SECONDS
        pulling.cancel()
        self._subscription.inbox.close()

    async def _work_until_halted(self, pulling: asyncio.Task[None]) -> None:
        """Work; when the guard rail objects, take and settle nothing more, and stay.

        A process that ended would be started again, and its guard rail would know nothing: each
        life would reject some more. One that stays tells by its metrics that it has halted.
        """
        try:
            await self._work_forever()
        except TooManyRejected as reason:
            metrics.HALTED.set(1)
            logger.error("halted", reason=str(reason), remedy=REMEDY)  # noqa: TRY400  # no bug
            pulling.cancel()
            self._subscription.inbox.close()
            await self._subscription.give_all_back()

    async def _work_forever(self) -> None:
        while not self._subscription.inbox.closed:
            batch = await gather(
                self._subscription.inbox,
                max_messages=self._settings.batch_max_messages,
                max_bytes=self._settings.batch_max_bytes,
                max_seconds=self._settings.batch_max_seconds,
            )
            try:
                if batch:
                    await self._work(batch)
            except _GivenUp:
                metrics.LEASES_LOST.inc(len(batch))
                logger.warning("leases_lost", transactions=len(batch))
                self._subscription.start_over()

    async def _work(self, batch: list[Delivery]) -> None:
        def lease_until() -> float:
            return min(delivery.lease_until for delivery in batch)

        def left() -> float:
            return min(lease_until(), self._stop_by) - time.monotonic()

        entries = await _decoded(batch)
        keys = {delivery.ordering_key or delivery.message_id for delivery in batch}
        changed = tables(entries)

        async def take_along() -> None:
            entries.extend(await self._joined(batch, keys, changed))

        try:
            async with (
                self._claims.held(keys, left) as claim,
                self._turns.held(changed, left, take_along),
            ):
                await take_along()

                def fence() -> float:
                    claim.note(lease_until())
                    return left()

                outcomes = await self._hold(lambda: self._applier.settle(entries, fence), fence)
        except Unclaimed as reason:
            logger.warning("unclaimed", reason=str(reason))
            raise _GivenUp from None
        await self._hold(lambda: self._dead_letters.publish(outcomes), left)
        await self._subscription.ack(batch)
        rejected = [outcome for outcome in outcomes if outcome.rejection]
        logger.info("batch_settled", transactions=len(batch), rejected=len(rejected))
        for outcome in rejected:
            logger.warning(
                "transaction_rejected",
                id=outcome.entry.message.id,
                reason=outcome.rejection.reason if outcome.rejection else None,
                source=outcome.entry.message.source,
            )

    async def _joined(
        self, batch: list[Delivery], keys: Container[str], changed: Mapping[str, bool]
    ) -> list[Entry]:
        """Let what has come in since the batch closed join it, if it is of its keys and tables.

        What comes in during the wait for a turn would otherwise wait for a second one.
        """
        joined: list[Entry] = []

        def fits(delivery: Delivery) -> bool:
            if (delivery.ordering_key or delivery.message_id) not in keys:
                return False
            entry = decode(delivery)
            wanted = tables([entry]).items()
            has_all = all(table in changed and changed[table] >= alone for table, alone in wanted)
            if has_all:
                joined.append(entry)
            return has_all

        before = -1
        while len(batch) != before:
            before = len(batch)
            join(
                batch,
                self._subscription.inbox,
                fits,
                max_messages=min(before + DECODED_AT_A_TIME, self._settings.batch_max_messages),
                max_bytes=self._settings.batch_max_bytes,
            )
            await asyncio.sleep(0)  # as in `_decoded`
        return joined

    async def _hold[T](self, action: Callable[[], Awaitable[T]], fence: Fence) -> T:
        """Try an action until it succeeds or the fence falls; raises _GivenUp."""
        pause = 0.1
        while fence() > 0:
            try:
                return await action()
            except OutcomeUnknown as error:
                logger.warning("outcome_unknown", error=str(error))
            except (WarehouseUnavailable, GoogleAPICallError) as error:
                logger.warning("batch_held", error=str(error), lease_seconds=round(fence(), 1))
            await asyncio.sleep(min(pause, max(fence(), 0)))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        raise _GivenUp


async def _decoded(batch: list[Delivery]) -> list[Entry]:
    entries: list[Entry] = []
    for start in range(0, len(batch), DECODED_AT_A_TIME):
        entries += [decode(delivery) for delivery in batch[start : start + DECODED_AT_A_TIME]]
        await asyncio.sleep(0)  # leases and the stream get their turn
    return entries
