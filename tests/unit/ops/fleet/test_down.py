"""The end of `ops/down`: it waits for the process, not for its socket."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ops.fleet.down import wait


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


def test_a_process_that_goes_on_is_not_down(process: subprocess.Popen[bytes]) -> None:
    assert not wait(process.pid, 0.2)


def test_a_process_that_has_ended_is_down_also_before_its_parent_has_asked(
    process: subprocess.Popen[bytes],
) -> None:
    process.kill()
    assert wait(process.pid)
    process.wait()
    assert wait(process.pid)
