"""The result of provisioning one resource."""

from typing import Literal, NamedTuple


class Change(NamedTuple):
    kind: str
    name: str
    outcome: Literal["created", "already there", "updated"]
    detail: str = ""
    planned: bool = False
    """Whether it is only what a run without --dry-run would do."""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        would = "would be " if self.planned and self.outcome != "already there" else ""
        return f"{self.kind:13} {self.name}: {would}{self.outcome}{detail}"
