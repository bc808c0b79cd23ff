"""The workers that have halted, and why, from what they push to the Pushgateway."""

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from ops.runtime.pushed_metrics import PushedGroup

HALT_METRICS: Final = ("gatekeeper_halted", "gatekeeper_halt_rejections")
RESUME: Final = "repair the set-up, then run `gatekeeper resume`"
_GONE_SECONDS = 900.0
"""Longer than METRICS_PUSH_SECONDS can be: a worker that has not pushed since is no more."""


class Halt(NamedTuple):
    """A halted worker, and its most frequent rejections."""

    instance: str
    rejections: tuple[str, ...]

    def __str__(self) -> str:
        why = "; ".join(self.rejections) or "its log has the reason"
        return f"{self.instance} has halted: {why}"


def halts(groups: Iterable[PushedGroup], now: float | None = None) -> list[Halt]:
    """Return the halted workers that still push; `now` is in Unix seconds."""
    since = (time.time() if now is None else now) - _GONE_SECONDS
    halted, rejections = HALT_METRICS
    return [
        Halt(
            group.instance,
            tuple(
                f"{each.value:,.0f} of source {each.labels.get('source') or '(none)'} "
                f"on table {each.labels.get('table', '')}: {each.labels.get('reason', '')}"
                for each in sorted(group.samples.get(rejections, ()), key=lambda each: -each.value)
            ),
        )
        for group in groups
        if group.total(halted) and group.pushed_at > since
    ]
