"""The secrets that webhooks are signed with, one a URL, derived from NOTIFY_KEY_FILE.

So there is one secret to keep, and no receiver can sign for another.
"""

import base64
import hmac
from pathlib import Path


def read_notify_keys(file: Path) -> list[bytes]:
    """Return the keys, one a line; the first is the newest. Raises OSError."""
    return file.read_bytes().split()


def secret_of(url: str, key: bytes) -> str:
    """Return the secret of a URL in the form of Standard Webhooks: `whsec_` and 32 bytes in base64.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    derived = hmac.digest(key, b"gatekeeper webhook\0" + url.encode(), "sha256")
    return "whsec_" + base64.b64encode(derived).decode()
