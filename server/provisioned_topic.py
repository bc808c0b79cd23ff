"""The topic, for as long as what follows it is in place: its subscription and the ledger.

A message that is published before the subscription exists, or after it was deleted, is lost. So a
publish fails, before it is tried, until the topic, the subscription and the ledger have been seen,
and again from the moment when one of them is found missing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import grpc
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.pubsub_v1 import SubscriberAsyncClient
from requests.exceptions import RequestException

from ops.runtime import clients, log
from ops.runtime.settings import Settings
from schema import head_table
from server.publish import Destination, Topic, classify

CHECK_SECONDS: Final = 2.0
RECHECK_SECONDS: Final = 0.2
"""How long a check that has found something missing counts for the messages that follow."""

PERIOD_SECONDS: Final = 5.0
"""Two calls each; a project has 6,000 administrative calls a minute and region:
https://cloud.google.com/pubsub/quotas#quotas."""

LEDGER_SECONDS: Final = 5.0
"""The deadline of one call to BigQuery."""

LEDGER_PERIOD_SECONDS: Final = 60.0
"""Reading a table's metadata is free of charge."""

REMEDY: Final = "run `gatekeeper provision`"

logger = log.get(__name__)

type Check = Callable[[float], Awaitable[None]]
"""Takes its deadline in seconds; raises grpc.aio.AioRpcError."""


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


class ProvisionedTopic:
    """A Destination whose `publish` fails as long as the last check has found something missing.

    Where a service cannot be reached, what was found before counts: `seen_before`, by a server of
    this machine, or by this one. A machine that has never seen all of it accepts nothing, not even
    into the spool.
    """

    def __init__(
        self,
        topic: Destination,
        checks: Sequence[Check],
        period: float,
        *,
        seen_before: bool = False,
    ) -> None:
        self._topic = topic
        self._checks = checks
        self._period = period
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        code = grpc.StatusCode.UNAVAILABLE if seen_before else grpc.StatusCode.FAILED_PRECONDITION
        self._fault: grpc.aio.AioRpcError | None = _error(
            code, "topic, subscription and ledger have not been seen yet"
        )

    @contextlib.asynccontextmanager
    async def checking(self) -> AsyncIterator[None]:
        """Check during the block, for the first time before it."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.check(CHECK_SECONDS)
        task = asyncio.create_task(self._check_for_ever(), name="provisioned")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        if self._fault is not None:
            await self._check_again()
        if (fault := self._fault) is not None:
            raise _error(fault.code(), fault.details())  # a new one: each has its own traceback
        await self._topic.publish(messages, timeout)

    async def _check_again(self) -> None:
        """Check for a message that would be refused: what was missing may be there by now."""
        async with self._checking:  # all that wait here share one check
            if asyncio.get_running_loop().time() - self._checked_at > RECHECK_SECONDS:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await self.check(CHECK_SECONDS)

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        try:
            await self._check_all(timeout)
        finally:
            self._checked_at = asyncio.get_running_loop().time()

    async def _check_all(self, timeout: float) -> None:  # noqa: ASYNC109
        try:
            await self._topic.check(timeout)
            await asyncio.gather(*(check(timeout) for check in self._checks))
        except grpc.aio.AioRpcError as error:
            self._note(error)
            fault = self._fault
            if fault is None or classify(fault).transient:
                raise
            raise _error(fault.code(), fault.details()) from None
        self._fault = None

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        if not classify(error).transient:
            if self._fault is None or self._fault.details() != error.details():
                logger.error("not_provisioned", error=error.details(), remedy=REMEDY)
            self._fault = error

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self.check(CHECK_SECONDS)


def subscription_check(client: SubscriberAsyncClient, settings: Settings) -> Check:
    """Return a check that the workers' subscription is one of the topic.

    It needs roles/pubsub.viewer. Without it the check passes: then only the workers notice.
    """
    path = settings.subscription_path

    async def check(timeout: float) -> None:  # noqa: ASYNC109
        try:
            found = await client.get_subscription(subscription=path, retry=None, timeout=timeout)
        except NotFound:
            raise _error(grpc.StatusCode.NOT_FOUND, f"{path} does not exist: {REMEDY}") from None
        except Forbidden:
            return
        except GoogleAPIError as error:
            raise _error(grpc.StatusCode.UNAVAILABLE, str(error)) from None
        if found.detached or found.topic != settings.topic_path:
            why = f"{path} is not a subscription of {settings.topic_path}: delete it, and {REMEDY}"
            raise _error(grpc.StatusCode.NOT_FOUND, why)

    return check


class LedgerCheck:
    """Checks that the ledger is there and has LANES lanes.

    Messages wait in Pub/Sub while BigQuery cannot be reached. So a ledger that a server of this
    machine has seen counts, also after a restart: the file `seen` in STATE_DIR.
    """

    def __init__(self, client: bigquery.Client, settings: Settings) -> None:
        self._client = client
        self._dataset = settings.dataset_path
        self._lanes = settings.lanes
        self._seen = settings.state_dir.absolute() / "ledger-seen"
        self._next = float("-inf")

    @property
    def seen_before(self) -> bool:
        """Whether a server of this machine has seen the ledger."""
        return self._was_seen()

    async def __call__(self, timeout: float) -> None:  # noqa: ASYNC109
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        try:
            await asyncio.to_thread(self._look, max(timeout, LEDGER_SECONDS))
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            if not await asyncio.to_thread(self._was_seen):
                why = f"the ledger has not been seen yet, and BigQuery does not answer: {error}"
                raise _error(grpc.StatusCode.UNAVAILABLE, why) from None
        self._next = now + LEDGER_PERIOD_SECONDS

    def _look(self, timeout: float) -> None:
        last, beyond = head_table(self._lanes - 1), head_table(self._lanes)
        try:
            if not self._exists(last, timeout):  # it is made last
                why = f"the ledger's {self._dataset}.{last} does not exist: {REMEDY}"
                raise _error(grpc.StatusCode.NOT_FOUND, why)
            if self._exists(beyond, timeout):
                why = f"{self._dataset} was provisioned with more lanes than LANES={self._lanes}"
                raise _error(grpc.StatusCode.FAILED_PRECONDITION, why)
        except Forbidden:  # roles/bigquery.dataViewer is missing: the workers notice
            return
        self._remember()

    def _exists(self, table: str, timeout: float) -> bool:
        try:
            self._client.get_table(f"{self._dataset}.{table}", retry=None, timeout=timeout)  # type: ignore[arg-type]  # no retry
        except NotFound:
            return False
        return True

    @property
    def _mark(self) -> str:
        return f"{self._dataset} {self._lanes}"

    def _was_seen(self) -> bool:
        try:
            return self._seen.read_text() == self._mark
        except OSError:
            return False

    def _remember(self) -> None:
        if not self._was_seen():
            with contextlib.suppress(OSError):
                self._seen.parent.mkdir(parents=True, exist_ok=True)
                self._seen.write_text(self._mark)


@contextlib.asynccontextmanager
async def connect_topic(settings: Settings) -> AsyncIterator[ProvisionedTopic]:
    """Connect to the topic of the settings, in the cloud or local."""
    publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
    warehouse = clients.warehouse(settings)
    ledger = LedgerCheck(warehouse, settings)
    topic = ProvisionedTopic(
        Topic(publisher, settings.topic_path),
        (subscription_check(subscriber, settings), ledger),
        PERIOD_SECONDS,
        seen_before=ledger.seen_before,
    )
    try:
        async with topic.checking():
            yield topic
    finally:
        await clients.close(publisher, subscriber)
        warehouse.close()
