"""Whether a contract's new version number says what has changed: https://semver.org."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ops.commands.contract.contract_change import Compatibility, ContractChange
from schema.contracts import TableContract, by_table

_SEMANTIC = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:[-+].*)?", re.ASCII)


class _SemanticVersion(NamedTuple):
    major: int
    minor: int
    patch: int

    def next_breaking(self) -> "_SemanticVersion":
        """Before 1.0.0 the second number is raised by breaking changes."""
        if self.major:
            return _SemanticVersion(self.major + 1, 0, 0)
        return _SemanticVersion(0, self.minor + 1, 0)

    def next_compatible(self) -> "_SemanticVersion":
        if self.major:
            return _SemanticVersion(self.major, self.minor + 1, 0)
        return _SemanticVersion(0, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def version_remarks(
    old: Sequence[TableContract], new: Sequence[TableContract], changes: Iterable[ContractChange]
) -> Iterator[str]:
    """Yield what is wrong with the versions of contracts that have changed, one each."""
    before, after = by_table(old), by_table(new)
    breaking: dict[tuple[str, str, str], bool] = {}
    for change in changes:
        if change.table in before and change.table in after:
            was, now = before[change.table], after[change.table]
            key = now.contract, was.version, now.version
            is_breaking = change.compatibility is Compatibility.BREAKING
            breaking[key] = breaking.get(key, False) or is_breaking
    for key, is_breaking in breaking.items():
        yield from _remark(*key, is_breaking=is_breaking)


def _remark(contract: str, old: str, new: str, *, is_breaking: bool) -> Iterator[str]:
    before, after = _parsed(old), _parsed(new)
    for text, version in ((old, before), (new, after)):
        if version is None:
            yield f"{contract}: {text} is not a semantic version"
            return
    if before is None or after is None:
        return
    expected = before.next_breaking() if is_breaking else before.next_compatible()
    if is_breaking and after < expected:
        lack = "breaking changes without a new major version"
    elif after <= before:
        lack = "changes without a new version"
    else:
        return
    yield f"{contract}: {lack}: {old} → {new}, {expected} is expected"


def _parsed(text: str) -> _SemanticVersion | None:
    match = _SEMANTIC.fullmatch(text)
    return _SemanticVersion(*map(int, match.groups())) if match else None
