"""Secrets of local mode: files in STATE_DIR that only this user can read, made when needed."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

BIGQUERY_FILE: Final = "bigquery.token"
"""Requests that change more than SQL does need it; see `ops.local.bigquery.access`."""
COLUMN_FILE: Final = "column-key"
"""What hashed columns are keyed with, without a COLUMN_KEY_FILE."""


def read_or_create(state_dir: Path, name: str) -> str | None:
    """Return a secret; the first process that needs it creates it. None if that is impossible."""
    file = state_dir / name
    try:
        with contextlib.suppress(FileNotFoundError):
            return file.read_text("ascii")
        state_dir.mkdir(parents=True, exist_ok=True)
        _create(file)
        return file.read_text("ascii")
    except (OSError, ValueError):
        return None


def _create(file: Path) -> None:
    """Create the complete file in one step; another process may do the same now."""
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(32))
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)
