"""The result of a check of `gatekeeper doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report; `remedy` is empty if the detail contains the fix."""

    check: str
    state: Literal["ok", "wrong", "skipped"]
    detail: str
    remedy: str = ""


class CheckFailed(Exception):
    """A check found a problem; `remedy` is the command or the step that fixes it."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.remedy = remedy


class CheckSkipped(Exception):
    """A check does not apply here; the message is the reason."""
