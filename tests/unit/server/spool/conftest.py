from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.spool.state import SpoolFlag


@pytest.fixture
def flag(tmp_path: Path) -> Iterator[SpoolFlag]:
    flag = SpoolFlag(tmp_path / "flag")
    yield flag
    flag.close()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
