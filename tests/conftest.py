"""How the suite is dealt out when `ops/test` runs two processes of it side by side."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a fixture in one process: a file's tests, and those of the one fleet.

    pytest-xdist deals groups out in this order: the longest of them come first by their folders.
    """
    for item in items:
        shared = "shared_fleet" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("fleet" if shared else str(item.path)))
