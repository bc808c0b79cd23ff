"""One look at the backlog, and what follows from it: a decision, made true, logged and counted."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ops.fleet.autoscale.policy import Look, Policy, State, blind, decide
from ops.runtime import log, metrics

if TYPE_CHECKING:  # it brings Google's libraries, which only the reader needs
    from ops.runtime.backlog import Backlog

GROUP = "worker"

logger = log.get(__name__)


class Interface(Protocol):
    """supervisord's XML-RPC interface."""

    def call(self, method: str, *arguments: Any) -> Any:
        """Call `fleet.number` or `fleet.scale`."""


class Scaler:
    """Keeps the workers of one fleet at the number that the policy wants.

    `read` returns the backlog; what it or supervisord raise is logged and counted, and nothing is
    decided then. `clock` is steady, in seconds.
    """

    def __init__(
        self,
        policy: Policy,
        fleet: Interface,
        read: "Callable[[], Backlog]",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._fleet = fleet
        self._read = read
        self._clock = clock
        self._state = State()
        self._trouble: str | None = None
        for direction in ("up", "down"):  # exported as 0 from the start
            metrics.AUTOSCALE_DECISIONS.labels(direction=direction)
        _show(math.nan, math.nan)

    def look(self) -> None:
        """Look once and do what follows. Blocks for as long as `read` and supervisord take."""
        try:
            waiting = self._read()
            workers = int(self._fleet.call("fleet.number", GROUP))
        except Exception as error:  # noqa: BLE001  # whatever is away: no decision without data
            self._saw_nothing(error)
            return
        self._trouble = None
        _show(waiting.unacked, waiting.oldest_age_seconds)
        metrics.WORKERS_WANTED.set(workers)
        self._follow(Look(self._clock(), waiting.unacked, waiting.oldest_age_seconds, workers))

    def _saw_nothing(self, error: Exception) -> None:
        self._state = blind(self._state)
        metrics.BACKLOG_UNSEEN.inc()
        _show(math.nan, math.nan)
        trouble = f"{type(error).__name__}: {error}"
        if trouble != self._trouble:  # said once, not on every tick
            logger.warning("backlog_unseen", error=trouble)
        self._trouble = trouble

    def _follow(self, look: Look) -> None:
        decision, state = decide(self._policy, self._state, look)
        if decision.workers == look.workers:
            self._state = state
            return
        fields = {
            "from": look.workers,
            "to": decision.workers,
            "reason": decision.reason,
            "oldest_age_seconds": round(look.oldest_age_seconds, 1),
            "backlog": look.transactions,
        }
        try:
            self._fleet.call("fleet.scale", GROUP, decision.workers)
        except Exception as error:  # noqa: BLE001  # the next tick decides anew
            logger.warning("scale_failed", error=f"{type(error).__name__}: {error}", **fields)
            return
        self._state = state
        direction = "up" if decision.workers > look.workers else "down"
        metrics.AUTOSCALE_DECISIONS.labels(direction=direction).inc()
        metrics.WORKERS_WANTED.set(decision.workers)
        logger.info("scaled", **fields)


def _show(transactions: float, oldest_age_seconds: float) -> None:
    metrics.BACKLOG_TRANSACTIONS.set(transactions)
    metrics.BACKLOG_OLDEST_AGE.set(oldest_age_seconds)
