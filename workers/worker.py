"""The worker: pull, close a batch, decode, commit, dead-letter, acknowledge; until stopped."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

from google.api_core.exceptions import GoogleAPICallError

from ops.runtime import log, metrics
from ops.runtime.tracing import batch_span
from ops.runtime.warehouse_errors import OutcomeUnknown, WarehouseUnavailable
from workers.commit import Committer
from workers.dead_letter import DeadLetters
from workers.decode import DecodedMessage, decode
from workers.halt import POLL_SECONDS, show_halt, wait_for_resume
from workers.jobs import Deadline
from workers.lane_head import LaneCountDiffers
from workers.lane_queues import Delivery, LaneBatch, LaneQueues
from workers.outcomes import Outcome
from workers.rejection_limit import TooManyRejected
from workers.subscription import Subscription

DECODED_AT_A_TIME = 50
"""Messages decoded between two turns of the event loop: some milliseconds of work."""

logger = log.get(__name__)


class _GivenUp(Exception):
    """The leases, or the time left to a stopping worker, ran out before the batch was settled."""


class Patience(NamedTuple):
    """How long a worker waits, in seconds."""

    drain: float = 10.0
    """For the batches in flight of a stopping worker; below supervisord's stopwaitsecs."""
    longest_pause: float = 5.0
    resume_poll: float = POLL_SECONDS


@dataclass(eq=False)
class Worker:
    """One consumer of the subscription.

    A batch that cannot be applied now is held, in order, and tried again while its leases last: a
    nack would only bring it back, and is for a worker that stops.
    """

    subscription: Subscription
    queues: LaneQueues
    committer: Committer
    dead_letters: DeadLetters
    patience: Patience = Patience()  # noqa: RUF009  # immutable
    _: KW_ONLY
    message_key: bytes | None = None
    _stop_by: float = field(default=math.inf, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish the batches in flight and give the rest back.

        A failure that nothing here handles ends the worker: supervisord starts a new one.
        """
        async with self.subscription.leasing():
            try:
                async with asyncio.TaskGroup() as group:
                    pulling = group.create_task(self.subscription.pull_forever(), name="pull")
                    group.create_task(self._work_until_halted(pulling, stop), name="work")
                    group.create_task(self._stop_after(stop, pulling), name="stop")
            finally:
                await self.subscription.give_all_back()

    async def _stop_after(self, stop: asyncio.Event, pulling: asyncio.Task[None]) -> None:
        await stop.wait()
        logger.info("draining", waiting=len(self.queues))
        self._stop_by = time.monotonic() + self.patience.drain
        pulling.cancel()
        self.queues.close()

    async def _work_until_halted(self, pulling: asyncio.Task[None], stop: asyncio.Event) -> None:
        """Work; when the rejection limit is passed, settle nothing more until an operator resumes.

        Then the process ends, and supervisord starts one that has rejected nothing yet.
        """
        try:
            await self._work()
        except* (TooManyRejected, LaneCountDiffers) as group:
            show_halt(group.exceptions)
            pulling.cancel()
            self.queues.close()
            await self.subscription.give_all_back()
            await wait_for_resume(self.committer.warehouse, stop, self.patience.resume_poll)
            stop.set()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as in_flight:
            while (batch := await self.queues.next_batch()) is not None:
                in_flight.create_task(self._settle(batch), name=f"lane-{batch.lane:02}")

    async def _settle(self, batch: LaneBatch) -> None:
        try:
            await self._settle_in_time(batch)
        except _GivenUp:
            metrics.LEASES_LOST.inc(len(batch.deliveries))
            logger.warning("leases_lost", lane=batch.lane, transactions=len(batch.deliveries))
            self.subscription.start_over()
        finally:
            self.queues.release(batch.lane)

    async def _settle_in_time(self, batch: LaneBatch) -> None:
        def left() -> float:
            lease_until = min(delivery.lease_until for delivery in batch.deliveries)
            return min(lease_until, self._stop_by) - time.monotonic()

        messages = await self._decoded(batch.deliveries)
        with batch_span(batch.lane, (each.message.traceparent for each in messages)):
            outcomes = await self._hold(
                batch.lane, lambda: self.committer.settle(batch.lane, messages, left), left
            )
            await self._hold(batch.lane, lambda: self.dead_letters.publish(outcomes), left)
            await self.subscription.ack(batch.deliveries)
            _log(batch, outcomes)

    async def _decoded(self, deliveries: list[Delivery]) -> list[DecodedMessage]:
        lanes = self.committer.settings.lanes
        messages: list[DecodedMessage] = []
        for start in range(0, len(deliveries), DECODED_AT_A_TIME):
            some = deliveries[start : start + DECODED_AT_A_TIME]
            messages += [decode(delivery, lanes, self.message_key) for delivery in some]
            await asyncio.sleep(0)  # leases and the stream get their turn
        return messages

    async def _hold[T](self, lane: int, action: Callable[[], Awaitable[T]], left: Deadline) -> T:
        """Try an action until it succeeds or no time is left; raises _GivenUp."""
        pause = min(0.1, self.patience.longest_pause)
        while left() > 0:
            try:
                return await action()
            except OutcomeUnknown as error:
                logger.warning("outcome_unknown", lane=lane, error=str(error))
            except (WarehouseUnavailable, GoogleAPICallError) as error:
                logger.warning(
                    "batch_held", lane=lane, error=str(error), lease_seconds=round(left(), 1)
                )
            await asyncio.sleep(min(pause, max(left(), 0)))
            pause = min(pause * 2, self.patience.longest_pause)
        raise _GivenUp


def _log(batch: LaneBatch, outcomes: list[Outcome]) -> None:
    rejected = [(each.message.message, each.rejection) for each in outcomes if each.rejection]
    logger.info(
        "batch_settled", lane=batch.lane, transactions=len(outcomes), rejected=len(rejected)
    )
    for message, (reason, _) in rejected:
        logger.warning(
            "transaction_rejected", id=message.id, reason=reason.value, source=message.source
        )
