"""For the whole suite: its examples, and how `ops/test` deals it out to its processes."""

import pytest
from hypothesis import settings

# The same examples in every run: what passes here passes there, and a slow machine is no fault.
# `--hypothesis-profile=default` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a fixture in one process: a file's tests, and those of the one fleet.

    pytest-xdist deals groups out in this order: the longest of them come first by their folders.
    """
    for item in items:
        shared = "shared_fleet" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("fleet" if shared else str(item.path)))
