"""Where a fleet's files are: supervisord.conf, and `.env` in the same folder."""

import os
from collections.abc import Mapping
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def supervisord_conf(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path in SUPERVISORD_CONF, or this repository's supervisord.conf."""
    given = environ.get("SUPERVISORD_CONF")
    return Path(given).resolve() if given else _REPOSITORY / "supervisord.conf"


def find_dotenv(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the working directory's `.env`, else that in supervisord.conf's folder.

    The file may not exist; its folder is the one that relative paths of the settings start from.
    """
    conf = supervisord_conf(environ)
    if Path(".env").exists() or not conf.is_file() or conf.parent == Path.cwd():
        return Path(".env")
    return conf.with_name(".env")
