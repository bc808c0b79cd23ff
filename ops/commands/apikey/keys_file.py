"""Changes the file of API keys: one command at a time, atomically, readable only by its owner."""

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
    """Yield the keys for a change in place; write them if the block ends without an error.

    Other commands wait. A server reads the old file or the new one, never a part.
    """
    path = path.resolve()  # keeps a symbolic link
    path.parent.mkdir(parents=True, exist_ok=True)
    # Lock the directory, because each change replaces the file.
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
                # The operator may be root while the servers run as another user: keep the owner.
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
