"""SERVERS and WORKERS of the settings, in place of the `numprocs` of supervisord.conf.

supervisor 4.3.0 can take a number from the environment alone, and fails where it is not set.
"""

from pathlib import Path
from typing import Any

from supervisor.options import ServerOptions

from ops.runtime.settings import Settings

_PROGRAMS = (("fcgi-program:server", "servers"), ("program:worker", "workers"))


def support() -> None:
    """Change supervisor's reader of configurations; may be called again."""
    original = ServerOptions.process_groups_from_parser
    if original.__module__ == __name__:
        return

    def process_groups_from_parser(options: Any, parser: Any) -> Any:
        _set_numbers(options, parser)
        return original(options, parser)

    ServerOptions.process_groups_from_parser = process_groups_from_parser


def _set_numbers(options: Any, parser: Any) -> None:
    """Set `numprocs` as the `.env` of each program's directory says.

    Raises InvalidSettings, a ValueError: supervisor prints it and ends.
    """
    for section, setting in _PROGRAMS:
        if not parser.has_section(section):
            continue
        here = {"here": options.here}
        folder = parser.saneget(section, "directory", ".", expansions=here)
        number = getattr(Settings.load(dotenv=Path(folder) / ".env"), setting)
        if number is not None:
            parser.set(section, "numprocs", str(number))
