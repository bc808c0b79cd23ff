"""Samples the backlog, and scales this machine's workers as the policy decides for the fleet."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from ops.fleet.autoscale.machine_share import own_number
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
    """Keeps the workers of `machine` at its part of the number that the policy wants.

    The policy's bounds are those of one machine. `read` returns the backlog. An error of it or of
    supervisord is logged and counted, and no decision follows. `read_others` returns the workers of
    the other machines; after an OSError of it, which is logged, this machine decides alone.
    A machine without workers is left so. `clock` is steady, in seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # all that it stands on, and the clock
        self,
        policy: AutoscalePolicy,
        fleet: FleetClient,
        read: "Callable[[], SubscriptionBacklog]",
        machine: str = "",
        read_others: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._fleet = fleet
        self._read = read
        self._machine = machine
        self._read_others = read_others
        self._others_missing = False
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
        if workers:
            self._act(backlog, {**self._other_machines(), self._machine: workers})

    def _other_machines(self) -> Mapping[str, int]:
        try:
            others = self._read_others()
        except OSError as error:
            if not self._others_missing:  # logged once, not on every tick
                logger.warning("other_machines_unseen", error=str(error))
            self._others_missing = True
            return {}
        self._others_missing = False
        return others

    def _on_missed_sample(self, error: Exception) -> None:
        self._state = self._state.after_missed_sample()
        metrics.MISSED_SAMPLES.inc()
        _export(math.nan, math.nan)
        text = f"{type(error).__name__}: {error}"
        if text != self._last_error:  # logged once, not on every tick
            logger.warning("backlog_unseen", error=text)
        self._last_error = text

    def _act(self, backlog: "SubscriptionBacklog", numbers: Mapping[str, int]) -> None:
        """Decide for all machines of `numbers`, and change this one's; no change, no call."""
        workers, total = numbers[self._machine], sum(numbers.values())
        policy = replace(
            self._policy,
            least=self._policy.least * len(numbers),
            most=self._policy.most * len(numbers),
        )
        sample = BacklogSample(self._clock(), backlog.unacked, backlog.oldest_age_seconds, total)
        decision, state = decide(policy, self._state, sample)
        number = own_number(self._machine, numbers, decision.workers)
        if number == workers:
            self._state = state
            return
        fields = {
            "from": workers,
            "to": number,
            "fleet": decision.workers,
            "reason": decision.reason,
            "oldest_age_seconds": round(sample.oldest_age_seconds, 1),
            "backlog": sample.transactions,
        }
        try:
            self._fleet.call("fleet.scale", GROUP, number)
        except Exception as error:  # noqa: BLE001  # the next tick decides again
            logger.warning("scale_failed", error=f"{type(error).__name__}: {error}", **fields)
            return
        self._state = state
        direction = "up" if number > workers else "down"
        metrics.AUTOSCALE_DECISIONS.labels(direction=direction).inc()
        metrics.WORKERS_WANTED.set(number)
        logger.info("scaled", **fields)


def _export(transactions: float, oldest_age_seconds: float) -> None:
    metrics.BACKLOG_TRANSACTIONS.set(transactions)
    metrics.BACKLOG_OLDEST_AGE.set(oldest_age_seconds)
