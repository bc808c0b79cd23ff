import sys
from collections.abc import Iterator

import pytest

from tests.support.fleet import FleetUnderTest


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """One fleet for all acceptance tests: each brings it up by itself where it took it down."""
    running = FleetUnderTest(tmp_path_factory.mktemp("fleet"))
    try:
        running.up()
        yield running
    except BaseException:
        sys.stderr.write(running.logs())
        raise
    finally:
        running.end()
