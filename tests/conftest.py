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
# Each of these tests starts a fleet, a dozen processes, and all other system tests share
# one. So two fleets run at the same time; with more, they would be slow until deadlines pass.
_OWN_FLEETS = ("tests/system/test_audit.py", "tests/system/test_autoscaling.py")
_SHARED_FLEET = "tests/system/"


def piece(nodeid: str) -> str:
    """Name the piece of the suite that a test is in: one process runs all of a piece."""
    if nodeid.startswith(_OWN_FLEETS):
        return _OWN_FLEETS[0]
    shared = (each for each in (_SHARED_FLEET, *_PIECES) if nodeid.startswith(each))
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
