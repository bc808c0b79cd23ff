"""The groups of pushed metrics: replaced, merged, deleted, checked, and saved for a restart."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from ops.local.pushgateway import exposition
from ops.local.pushgateway.exposition import Labels

PUSHED = "push_time_seconds"
FAILED = "push_failure_time_seconds"
_TIMES_HELP = "Last Unix time when changing this group in the Pushgateway {}."


class Inconsistent(ValueError):
    """A push has timestamps, or contradicts itself or another group; nothing of it is stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"pushed metrics are invalid or inconsistent with existing metrics: {reason}"
        )


@dataclass(slots=True)
class MetricGroup:
    """One grouping key's metrics, and the times of its last push and last failure (0: never)."""

    key: Labels
    families: dict[str, Metric] = field(default_factory=dict)
    pushed_at: float = 0.0
    failed_at: float = 0.0

    def exposed(self) -> Iterator[Metric]:
        """Yield the families, and the two times as families."""
        yield from self.families.values()
        for name, moment, outcome in (
            (PUSHED, self.pushed_at, "succeeded"),
            (FAILED, self.failed_at, "failed"),
        ):
            family = Metric(name, _TIMES_HELP.format(outcome), "gauge")
            yield _with_samples(family, [_with_key(Sample(name, {}, moment), self.key)])


class MetricGroups:
    """All groups, by their grouping key: sorted pairs of label and value, `job` among them."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """Load the groups of the file, if there is one."""
        self._file = file
        self._clock = clock
        self._groups: dict[Labels, MetricGroup] = {}
        for saved in json.loads(file.read_text()) if file and file.exists() else ():
            key = tuple((name, value) for name, value in saved["key"])
            families = exposition.parse(saved["metrics"])
            self._groups[key] = MetricGroup(key, families, saved["pushed_at"], saved["failed_at"])

    def push(self, key: Labels, families: dict[str, Metric], *, replace: bool) -> None:
        """Store the families in the group: alone if `replace`, else over those of the same names.

        Raises `Inconsistent`; the group then keeps its metrics, with the time of the failure.
        """
        group = self._groups.setdefault(key, MetricGroup(key))
        pushed = {
            name: _with_samples(family, [_with_key(sample, key) for sample in family.samples])
            for name, family in families.items()
            if name not in {PUSHED, FAILED}  # the gateway's own
        }
        try:
            for family in pushed.values():
                self._check(key, family)
        except Inconsistent:
            group.failed_at = self._clock()
            raise
        group.families = pushed if replace else group.families | pushed
        group.pushed_at = self._clock()

    def delete(self, key: Labels) -> None:
        """Delete the group, if it exists."""
        self._groups.pop(key, None)

    def _check(self, key: Labels, family: Metric) -> None:
        seen: set[tuple[str, Labels]] = set()
        for sample in family.samples:
            series = sample.name, tuple(sorted(sample.labels.items()))
            if sample.timestamp is not None:
                raise Inconsistent(f"metric {sample.name!r} has a timestamp")
            if series in seen:
                raise Inconsistent(
                    f"collected metric {sample.name!r} {sample.labels} "
                    "was collected before with the same name and label values"
                )
            seen.add(series)
        for other in self._groups.values():
            known = other.families.get(family.name)
            if known is not None and other.key != key and known.type != family.type:
                raise Inconsistent(f"collected metric {family.name!r} is not a {known.type}")

    def families(self) -> list[Metric]:
        """Return every group's samples, merged by family and sorted by name.

        If groups differ in a help text, the first group's is shown.
        """
        merged: dict[str, Metric] = {}
        for _, group in sorted(self._groups.items()):
            for family in group.exposed():
                into = merged.setdefault(family.name, _with_samples(family, []))
                into.documentation = into.documentation or family.documentation
                into.samples += family.samples
        return [merged[name] for name in sorted(merged)]

    def save(self) -> None:
        """Write everything to the file, or nothing."""
        if self._file is None:
            return
        groups = [
            {
                "key": group.key,
                "pushed_at": group.pushed_at,
                "failed_at": group.failed_at,
                "metrics": exposition.render(group.families.values()),
            }
            for group in self._groups.values()
        ]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(groups))
        partial.replace(self._file)


def _with_key(sample: Sample, key: Labels) -> Sample:
    """Put a grouping key over a sample's labels; an `instance` that neither has is empty."""
    return sample._replace(labels={"instance": "", **sample.labels, **dict(key)})


def _with_samples(family: Metric, samples: list[Sample]) -> Metric:
    copy = Metric(family.name, family.documentation, family.type)
    copy.samples = samples
    return copy
