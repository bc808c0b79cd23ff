"""A clock that a test sets, in whatever unit the code under test has."""

from typing import Any


class FakeClock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> Any:
        return self.now
