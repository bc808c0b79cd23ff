"""What processes have written, to look for what must not be in it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def file_contents(*folders: Path) -> Iterator[bytes]:
    """Yield the content of every file below the folders, while processes may remove some."""
    for folder in folders:
        for path in folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path.read_bytes()
