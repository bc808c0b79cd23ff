"""The contract files of a folder, and how to notice that one has changed."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SUFFIXES: Final = (".yaml", ".yml")

_COARSE_CLOCK_SECONDS = 2.0  # the coarsest clock of a file system


class FileVersion(NamedTuple):
    """What changes with a file. While it is young, a further change may not show in it."""

    changed_at_ns: int
    size: int
    inode: int

    def is_settled(self) -> bool:
        return time.time() - self.changed_at_ns / 1e9 > _COARSE_CLOCK_SECONDS


def list_folder(folder: Path) -> dict[str, FileVersion] | None:
    """Return the files below a folder by their relative names; None where there is no folder.

    Hidden files and folders are left out: Kubernetes keeps a volume's versions in them.
    """
    if not folder.is_dir():
        return None
    return dict(sorted(_files(folder, "")))


def read_folder(folder: Path) -> dict[str, str]:
    """Return the texts of the files below a folder by their relative names. Raises OSError."""
    return {name: (folder / name).read_text() for name in list_folder(folder) or ()}


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, FileVersion]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.name.endswith(SUFFIXES):
                found = entry.stat()
                version = FileVersion(found.st_ctime_ns, found.st_size, found.st_ino)
                yield prefix + entry.name, version
