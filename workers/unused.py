"""What was made for transactions that none has put to use yet, for whoever takes over.

DDL is no part of a transaction in BigQuery. A worker that dies between the making of a table and
the settling of the transaction that asked for it leaves a table behind, and whoever gets the
transaction next cannot see that nothing applied has ever asked for it: a rejection would leave it
there, and a delete that came before would find it. So a worker notes what it makes, before it
makes it; the next one takes that over and decides as the first would have.

Each worker has a file, locked by the operating system as long as it lives. A file that nobody has
locked is of a worker that died, or of a batch that was given up.

Holds for the workers of one machine that share STATE_DIR.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from pathlib import Path

from ops.runtime import log
from ops.runtime.settings import Settings
from workers.catalog import Made, Part

_WRITTEN_ANEW = ".new"

logger = log.get(__name__)


class Unused:
    """One worker's note. For one thread at a time; all methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        """Make a file in the folder, and the folder when it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._tidy()
        self._path, self._file = self._made_file()
        self._noted: AbstractSet[Part] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Unused":
        """Open the notes on a dataset."""
        folder = settings.state_dir.absolute() / "unused" / settings.project_id
        return cls(folder / settings.dataset_id)

    def take(self, tables: Collection[str]) -> Made:
        """Take over what is left unused in some tables, for a batch that names them."""
        given_up = {part for part in self._noted if part[0] not in tables}
        taken = set(self._noted - given_up)
        self._leave(given_up)
        with contextlib.ExitStack() as locks:
            others: list[tuple[Path, int, set[Part]]] = []
            for path in self._left_behind():
                file = _lock(path)
                if file is None:
                    continue
                locks.callback(os.close, file)
                parts = _read(file)
                own = {part for part in parts if part[0] in tables}
                if own or not parts:
                    taken |= own
                    others.append((path, file, parts - own))
            self._write(taken)
            for path, file, rest in others:
                if rest:
                    _write(file, rest)
                else:
                    path.unlink()
        return Made(taken)

    def says(self, made: Made) -> bool:
        """Tell whether the note says just that, as nearly always: nothing in both."""
        return self._noted == made.parts

    def keep(self, made: Made) -> None:
        """Note what is made and unused now, instead of what was."""
        self._write(made.parts)

    def close(self) -> None:
        """Give the file up; what is in it is for others."""
        if not self._noted:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self, parts: AbstractSet[Part]) -> None:
        if parts != self._noted:
            _write(self._file, parts)
            self._noted = frozenset(parts)

    def _leave(self, parts: AbstractSet[Part]) -> None:
        """Put parts where any worker takes them over."""
        if not parts:
            return
        path = self._folder / uuid.uuid4().hex
        new = path.with_suffix(_WRITTEN_ANEW)
        file = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _write(file, parts)
        finally:
            os.close(file)
        new.rename(path)

    def _left_behind(self) -> list[Path]:
        """Return the files with something in them that may be nobody's."""
        with os.scandir(self._folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.name != self._path.name
                and not entry.name.endswith(_WRITTEN_ANEW)
                and _size(entry)
            ]

    def _tidy(self) -> None:
        """Remove the empty files of workers that died."""
        for path in self._folder.iterdir():
            file = _lock(path)
            if file is not None:
                if not os.fstat(file).st_size:
                    path.unlink()
                os.close(file)

    def _made_file(self) -> tuple[Path, int]:
        path = self._folder / uuid.uuid4().hex
        file = None
        while file is None:  # another worker may tidy it away before it is locked
            path.touch(0o600)
            file = _lock(path)
        return path, file


def _size(entry: os.DirEntry[str]) -> int:
    """Return a file's bytes; 0 when another worker has removed it."""
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def _lock(path: Path) -> int | None:
    """Open and lock a file; None when another has it, or it is gone."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            return file
    except BlockingIOError:
        pass
    os.close(file)
    return None


def _read(file: int) -> set[Part]:
    line, _, _ = os.pread(file, os.fstat(file).st_size, 0).partition(b"\n")
    try:
        return {(table, column) for table, column in json.loads(line)}
    except (ValueError, TypeError):  # the machine failed while it was written
        logger.warning("unused_note_unreadable")
        return set()


def _write(file: int, parts: AbstractSet[Part]) -> None:
    """Write the first line, which is all that counts."""
    line = json.dumps(sorted(parts, key=str)).encode() + b"\n" if parts else b""
    os.pwrite(file, line, 0)
    os.ftruncate(file, len(line))
    os.fsync(file)
