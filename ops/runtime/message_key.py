"""The keys that messages are signed with, and that columns are hashed with."""

from pathlib import Path

from ops.runtime.local_secret import COLUMN_FILE, read_or_create
from ops.runtime.settings import Settings


def read_message_key(settings: Settings) -> bytes | None:
    """Return the contents of MESSAGE_KEY_FILE, None without one. Raises OSError."""
    return _read(settings.message_key_file)


def read_column_key(settings: Settings) -> bytes | None:
    """Return the contents of COLUMN_KEY_FILE; without one, of local mode's own, or None.

    Raises OSError.
    """
    if settings.column_key_file is None and settings.local:
        made = read_or_create(settings.state_dir, COLUMN_FILE)
        return made.encode() if made else None
    return _read(settings.column_key_file)


def _read(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes().strip()
