"""Samples the backlog, and scales the workers as the policy decides; logged and counted."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ops.fleet.autoscale.policy import AutoscalePolicy, AutoscaleState, BacklogSample, decide
from ops.runtime import log, metrics

if TYPE_CHECKING:  # it imports Google's libraries, which only the reader needs
    from ops.runtime.backlog import SubscriptionBacklog

GROUP = "worker"

logger = log.get(__name__)


class FleetClient(Protocol):
    """supervisord's XML-RPC interface: `fleet.number` and `fleet.scale`."""

    def call(self, method: str, *arguments: Any) -> Any: ...


class Autoscaler:
    """Keeps the workers of one fleet at the number that the policy wants.

    `read` returns the backlog. An error of it or of supervisord is logged and counted, and no
    decision follows. `clock` is steady, in seconds.
    """

    def __init__(
        self,
        policy: AutoscalePolicy,
        fleet: FleetClient,
        read: "Callable[[], SubscriptionBacklog]",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._fleet = fleet
        self._read = read
        self._clock = clock
        self._state = AutoscaleState()
        self._last_error: str | None = None
        for direction in ("up", "down"):  # exported as 0 from the start
            metrics.AUTOSCALE_DECISIONS.labels(direction=direction)
        _export(math.nan, math.nan)

    def tick(self) -> None:
        """Take one sample and act on it. Blocks for as long as `read` and supervisord take."""
        try:
            backlog = self._read()
            workers = int(self._fleet.call("fleet.number", GROUP))
        except Exception as error:  # noqa: BLE001  # no decision without data
            self._on_missed_sample(error)
            return
        self._last_error = None
        _export(backlog.unacked, backlog.oldest_age_seconds)
        metrics.WORKERS_WANTED.set(workers)
        self._act(
            BacklogSample(self._clock(), backlog.unacked, backlog.oldest_age_seconds, workers)
        )

    def _on_missed_sample(self, error: Exception) -> None:
        self._state = self._state.after_missed_sample()
        metrics.MISSED_SAMPLES.inc()
        _export(math.nan, math.nan)
        text = f"{type(error).__name__}: {error}"
        if text != self._last_error:  # logged once, not on every tick
            logger.warning("backlog_unseen", error=text)
        self._last_error = text

    def _act(self, sample: BacklogSample) -> None:
        decision, state = decide(self._policy, self._state, sample)
        if decision.workers == sample.workers:
            self._state = state
            return
        fields = {
            "from": sample.workers,
            "to": decision.workers,
            "reason": decision.reason,
            "oldest_age_seconds": round(sample.oldest_age_seconds, 1),
            "backlog": sample.transactions,
        }
        try:
            self._fleet.call("fleet.scale", GROUP, decision.workers)
        except Exception as error:  # noqa: BLE001  # the next tick decides again
            logger.warning("scale_failed", error=f"{type(error).__name__}: {error}", **fields)
            return
        self._state = state
        direction = "up" if decision.workers > sample.workers else "down"
        metrics.AUTOSCALE_DECISIONS.labels(direction=direction).inc()
        metrics.WORKERS_WANTED.set(decision.workers)
        logger.info("scaled", **fields)


def _export(transactions: float, oldest_age_seconds: float) -> None:
    metrics.BACKLOG_TRANSACTIONS.set(transactions)
    metrics.BACKLOG_OLDEST_AGE.set(oldest_age_seconds)
