"""The groups of pushed metrics: replaced, merged, deleted, checked, and kept over a restart."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops.local.pushgateway.exposition import Family, Labels, Sample

PUSHED = "push_time_seconds"
FAILED = "push_failure_time_seconds"
_TIMES_HELP = "Last Unix time when changing this group in the Pushgateway {}."


class Inconsistent(ValueError):
    """What was pushed contradicts itself or another group; nothing of it is kept."""


@dataclass(slots=True)
class Group:
    """One grouping key's metrics, and when they were pushed and refused last (0: never)."""

    key: Labels
    families: dict[str, Family] = field(default_factory=dict)
    pushed_at: float = 0.0
    failed_at: float = 0.0

    def shown(self) -> Iterator[Family]:
        """Yield the families as they are exposed, the two times among them."""
        yield from self.families.values()
        labels = _with_key((), self.key)
        for name, moment, word in (
            (PUSHED, self.pushed_at, "succeeded"),
            (FAILED, self.failed_at, "failed"),
        ):
            sample = Sample(name, labels, moment)
            yield Family(name, "gauge", _TIMES_HELP.format(word), [sample])


def _with_key(labels: Labels, key: Labels) -> Labels:
    """Put a grouping key over a sample's labels; an `instance` that neither has is empty."""
    return tuple(sorted({"instance": "", **dict(labels), **dict(key)}.items()))


class Groups:
    """All groups, by their grouping key (sorted pairs of label and value, `job` among them)."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """Take up what the file holds from before, where there is one."""
        self._file = file
        self._clock = clock
        self._groups: dict[Labels, Group] = {}
        if file is not None and file.exists():
            self._groups = {
                group.key: group for group in map(_loaded, json.loads(file.read_text()))
            }

    def __iter__(self) -> Iterator[Group]:
        return iter([self._groups[key] for key in sorted(self._groups)])

    def push(self, key: Labels, families: dict[str, Family], *, replacing: bool) -> None:
        """Put the families in the group: alone when `replacing`, else over those of their names.

        Raises `Inconsistent`; the group then keeps what it has and remembers the failure.
        """
        group = self._groups.setdefault(key, Group(key))
        fresh = {
            name: replace(
                family,
                samples=[
                    replace(sample, labels=_with_key(sample.labels, key))
                    for sample in family.samples
                ],
            )
            for name, family in families.items()
            if name not in {PUSHED, FAILED}  # ours to say
        }
        try:
            self._check(key, fresh)
        except Inconsistent:
            self.refuse(key)
            raise
        group.families = fresh if replacing else group.families | fresh
        group.pushed_at = self._clock()

    def refuse(self, key: Labels) -> None:
        """Remember that a push to this group failed."""
        self._groups.setdefault(key, Group(key)).failed_at = self._clock()

    def delete(self, key: Labels) -> None:
        """Forget a group; one that does not exist is forgotten already."""
        self._groups.pop(key, None)

    def _check(self, key: Labels, fresh: dict[str, Family]) -> None:
        for name, family in fresh.items():
            seen: set[tuple[str, Labels]] = set()
            for sample in family.samples:
                if (sample.name, sample.labels) in seen:
                    raise Inconsistent(
                        f'collected metric "{sample.name}" {dict(sample.labels)} '
                        "was collected before with the same name and label values"
                    )
                seen.add((sample.name, sample.labels))
            for other in self._groups.values():
                known = other.families.get(name)
                if known is not None and other.key != key and known.type != family.type:
                    raise Inconsistent(
                        f'collected metric "{name}" {dict(key)} is not a {known.type.upper()}'
                    )

    def families(self) -> list[Family]:
        """Return every group's samples, merged by family and sorted by name.

        Where groups differ in a help text, the first group's is shown.
        """
        merged: dict[str, Family] = {}
        for group in self:
            for family in group.shown():
                into = merged.setdefault(family.name, Family(family.name, family.type, family.help))
                into.help = into.help or family.help
                into.samples += family.samples
        return [merged[name] for name in sorted(merged)]

    def save(self) -> None:
        """Write everything to the file, whole or not at all."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps([_saved(group) for group in self._groups.values()]))
        partial.replace(self._file)


def _saved(group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "pushed_at": group.pushed_at,
        "failed_at": group.failed_at,
        "families": [
            [f.name, f.type, f.help, [[s.name, s.labels, repr(s.value)] for s in f.samples]]
            for f in group.families.values()
        ],
    }


def _loaded(saved: dict[str, Any]) -> Group:
    families = {
        name: Family(
            name, kind, text, [Sample(s, _pairs(labels), float(value)) for s, labels, value in rows]
        )
        for name, kind, text, rows in saved["families"]
    }
    return Group(_pairs(saved["key"]), families, saved["pushed_at"], saved["failed_at"])


def _pairs(lists: list[list[str]]) -> Labels:
    return tuple((name, value) for name, value in lists)
