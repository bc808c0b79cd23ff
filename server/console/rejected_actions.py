"""`POST /console/rejected/{id}/replay` and `/discard`: what `gatekeeper deadletter` does.

Both act on every open rejection of the id: one, unless two bodies came with it and both were
rejected.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from aiohttp import web
from google.api_core.exceptions import Forbidden, GoogleAPICallError
from google.auth.exceptions import GoogleAuthError

from ops.rejections.rejection_ledger import RejectionLedger
from ops.rejections.replay import Replay, ReplayAction, ReplayDecision
from ops.rejections.selection import Selection
from ops.rejections.stored_rejection import StoredRejection
from ops.runtime import log
from ops.runtime.bigquery import UNREACHABLE
from ops.runtime.settings import Settings
from server.api import HEADERS, transaction_id
from server.http import FairLimit, Refusal, RequestFault, refusal, source_of

JOB_SECONDS: Final = 10.0
"""For one query: a server that stops waits for a query in progress to end."""

MAX_WAITING: Final = 10
"""Actions that may wait for the one that runs, half of them of one client; beyond it 503."""

_MOST: Final = 100  # open rejections of one id
_FAILURES: Final = (GoogleAPICallError, GoogleAuthError, TimeoutError, *UNREACHABLE)

logger = log.get(__name__)


class RejectedActions:
    """One action at a time. `changed` is called when one may have taken effect."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._turn = asyncio.Lock()
        self._in_flight = FairLimit(1 + MAX_WAITING, "actions", always_half=True)

    async def replay(self, request: web.Request) -> web.StreamResponse:
        """Publish again, under the same id; answer what was done. It waits for no worker."""
        return await self._answer(request, self._replay, bodies=True)

    async def discard(self, request: web.Request) -> web.StreamResponse:
        """Take off the list; the table keeps the row."""
        return await self._answer(request, self._discard, bodies=False)

    async def _answer(
        self, request: web.Request, act: Callable[..., Any], *, bodies: bool
    ) -> web.StreamResponse:
        id_ = transaction_id(request)
        with self._in_flight.holding(source_of(request)):
            done = await self._act(id_, act, bodies=bodies)
        if not done:
            why = "there is no open rejection of this id: it may have been resolved meanwhile"
            raise Refusal(refusal.NOT_FOUND, RequestFault("transaction", why))
        for each in done:
            logger.info("rejection_resolved", id=id_, by=source_of(request), **each)
        return web.Response(body=json.dumps({"id": id_, "results": done}).encode(), headers=HEADERS)

    async def _act(self, id_: str, act: Callable[..., Any], *, bodies: bool) -> Any:
        try:
            async with self._turn, self._ledger() as ledger:
                selection = Selection(_MOST, (id_,))
                chosen, _ = await asyncio.to_thread(
                    ledger.open_rejections, selection, bodies=bodies
                )
                return await act(ledger, chosen)
        except _FAILURES as error:
            raise _refused(error) from error
        finally:
            self._changed()

    @contextlib.asynccontextmanager
    async def _ledger(self) -> AsyncIterator[RejectionLedger]:
        with contextlib.closing(RejectionLedger(self._settings, JOB_SECONDS)) as ledger:
            yield ledger

    async def _replay(
        self, ledger: RejectionLedger, chosen: Sequence[StoredRejection]
    ) -> list[dict[str, str]]:
        async with contextlib.aclosing(Replay(self._settings, ledger)) as replaying:
            decisions = await replaying.decisions(chosen, new_id=False)
            done = [each for each in decisions if each.action is ReplayAction.REFUSED]
            async for part in replaying.carry_out(decisions):
                done += part
        return [_decided(each) for each in done]

    async def _discard(
        self, ledger: RejectionLedger, chosen: Sequence[StoredRejection]
    ) -> list[dict[str, str]]:
        await asyncio.to_thread(ledger.resolve, chosen, "discarded")
        return [{"outcome": "discarded", "reason": each.reason, "detail": ""} for each in chosen]


def _decided(decision: ReplayDecision) -> dict[str, str]:
    outcomes = {
        ReplayAction.REPLAY: "replayed",
        ReplayAction.ALREADY_APPLIED: "already applied",
        ReplayAction.REFUSED: "refused",
    }
    return {
        "outcome": outcomes[decision.action],
        "reason": decision.rejected.reason,
        "detail": decision.detail,
    }


def _refused(error: Exception) -> Refusal:
    if isinstance(error, Forbidden):
        why = "the server's account may not do this: it needs bigquery.dataEditor on the dataset"
        return Refusal(refusal.FORBIDDEN, RequestFault("role", why))
    logger.warning("rejection_not_resolved", error=f"{type(error).__name__}: {error}")
    return refusal.unavailable(
        "not done: the warehouse or Pub/Sub does not answer; it is safe to try it again", 5
    )
