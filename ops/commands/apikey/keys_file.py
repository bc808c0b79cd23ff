"""The file of API keys: changed by one command at a time, replaced whole, readable by its owner."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ops.runtime.api_keys import ApiKey, read
from ops.runtime.file_lock import FileLock

MODE = 0o600


@contextlib.contextmanager
def changing(path: Path) -> Iterator[list[ApiKey]]:
    """Yield the keys to be changed in place, and write them when the block ends without an error.

    Another command waits meanwhile. A server sees the old file or the new one, never a part.
    """
    path = path.resolve()  # a symbolic link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    # The directory is what is locked: the file itself is another one after each change.
    with contextlib.closing(FileLock(path.parent)) as folder:
        folder.wait_exclusive()
        keys = read(path)
        yield keys
        _replace(path, "".join(key.line() for key in keys))
        os.fsync(folder)


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, MODE)
            with contextlib.suppress(FileNotFoundError):
                # Servers may run as another user than the operator who is root here.
                owner = path.stat()
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
