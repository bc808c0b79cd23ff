"""What a check of `gatekeeper doctor` found."""

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what mends it where it is wrong."""

    check: str
    state: Literal["ok", "wrong", "skipped"]
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return asdict(self)


class Wrong(Exception):
    """What was looked at is not as it must be; `remedy` is the command or the step that mends it.

    An empty remedy means that the detail names it.
    """

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.remedy = remedy


class Skipped(Exception):
    """There is nothing to look at here; the text says why."""
