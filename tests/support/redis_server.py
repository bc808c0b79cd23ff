"""A Redis of the test's own, where Debian's redis-server is installed."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from ops.rig import Service, free_port

REDIS = shutil.which("redis-server")
ABSENT = "redis-server is not installed"


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run one for the length of the block; yield its address for IDEMPOTENCY_STORE."""
    assert REDIS is not None
    port = free_port()
    command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with Service([*command, "--save", ""]) as server:
        server.wait_for_port(f"127.0.0.1:{port}")
        yield f"redis://127.0.0.1:{port}/0"
