"""For the whole suite: its examples, and how `ops/test` deals it out to its processes."""

from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.support.judge.plugin"]

# The same examples in every run: what passes here passes there, and a slow machine is no fault.
# `--hypothesis-profile=default` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Files that share a service which is dear to start; any other file is its own piece.
_PIECES = (
    "tests/integration/bigquery/",
    "tests/integration/commands/",
    "tests/integration/api/",
    "tests/integration/pubsub/",
    "tests/integration/workers/",
)
# They have a fleet each, a dozen processes. They are one piece: more fleets than that of all other
# system tests and one more would wait for one another until a deadline passes.
_FLEETS = ("tests/system/test_audit.py", "tests/system/test_autoscaling.py")
_ONE_FLEET = "tests/system/"


def piece(nodeid: str) -> str:
    """Name the piece of the suite that a test is in: one process runs all of a piece."""
    if nodeid.startswith(_FLEETS):
        return _FLEETS[0]
    shared = (each for each in (_ONE_FLEET, *_PIECES) if nodeid.startswith(each))
    return next(shared, nodeid.partition("::")[0])


class Pieces(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Deals the suite out by pieces, in the order in which they were collected.

    pytest-xdist's own groups are lost with pytest 9.2, without a word (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return piece(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Pieces:
    """Have pytest-xdist use it."""
    config.option.loadscopereorder = False
    return Pieces(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest pieces first: nothing is left to run next to them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(_ONE_FLEET))
