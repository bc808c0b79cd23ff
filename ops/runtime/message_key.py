"""The key that messages are signed with."""

from ops.runtime.settings import Settings


def read_message_key(settings: Settings) -> bytes | None:
    """Return the contents of MESSAGE_KEY_FILE, None without one. Raises OSError."""
    file = settings.message_key_file
    return None if file is None else file.read_bytes().strip()
