"""The result of provisioning one resource."""

from typing import Literal, NamedTuple


class Change(NamedTuple):
    kind: str
    name: str
    outcome: Literal["created", "already there", "updated"]
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.kind:13} {self.name}: {self.outcome}{detail}"
