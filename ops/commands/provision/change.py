"""What provisioning did about one resource."""

from typing import Literal, NamedTuple


class Change(NamedTuple):
    """A resource, and whether it was created, updated or already there."""

    kind: str
    name: str
    outcome: Literal["created", "already there", "updated"]
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.kind:13} {self.name}: {self.outcome}{detail}"
