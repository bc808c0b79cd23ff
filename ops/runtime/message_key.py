"""The keys that messages are signed with, and that columns are hashed with."""

from pathlib import Path

from ops.runtime.settings import Settings


def read_message_key(settings: Settings) -> bytes | None:
    """Return the contents of MESSAGE_KEY_FILE, None without one. Raises OSError."""
    return _read(settings.message_key_file)


def read_column_key(settings: Settings) -> bytes | None:
    """Return the contents of COLUMN_KEY_FILE, None without one. Raises OSError."""
    return _read(settings.column_key_file)


def _read(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes().strip()
