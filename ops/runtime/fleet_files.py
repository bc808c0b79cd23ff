"""Where a fleet's files are: supervisord.conf, and `.env` in the same folder."""

import os
from collections.abc import Mapping
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def supervisord_conf(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path in SUPERVISORD_CONF, or the working directory's or repository's file."""
    if given := environ.get("SUPERVISORD_CONF"):
        return Path(given).resolve()
    here = Path("supervisord.conf").resolve()
    return here if _is_ours(here) else _REPOSITORY / "supervisord.conf"


def _is_ours(file: Path) -> bool:
    """Return whether a configuration is of a fleet of Gatekeeper: other programs have one too."""
    try:
        return "ops.fleet.entrypoint" in file.read_text(errors="replace")
    except OSError:
        return False


def find_dotenv(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the working directory's `.env`, else that in supervisord.conf's folder.

    The file may not exist; its folder is the one that relative paths of the settings start from.
    """
    conf = supervisord_conf(environ)
    if Path(".env").exists() or not conf.is_file() or conf.parent == Path.cwd():
        return Path(".env")
    return conf.with_name(".env")
