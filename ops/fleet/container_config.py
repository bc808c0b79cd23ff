"""The configuration of supervisord in the image: `python -m ops.fleet.container_config TARGET`.

It is made from supervisord.conf when the image is built. supervisord stays in the foreground, all
logs are on standard output, servers listen on every address, and what is written is in the volume.
The programs of local mode are left out, as the image has none of their packages.
"""

import argparse
from pathlib import Path

from supervisor.options import UnhosedConfigParser

from ops.fleet.config import ROOT
from ops.fleet.config_copy import write_copy

STATE = Path("/var/lib/gatekeeper")
RUN_FOLDER = STATE / "run"
PORT = 8080
_FOLDER = "/etc/gatekeeper"
"""Of the configuration; `.env` and `contracts` may be mounted there."""
_LOCAL_MODE = ("provision", "pubsub", "bigquery", "pushgateway")
_PROGRAMS = ("fcgi-program:", "program:", "eventlistener:")


def write_container_config(target: Path, source: Path = ROOT / "supervisord.conf") -> None:
    """Write the image's configuration to `target`."""
    write_copy(target, source=source, run_folder=RUN_FOLDER, address=f"0.0.0.0:{PORT}")
    parser = UnhosedConfigParser()
    parser.read([target])
    for program in _LOCAL_MODE:
        parser.remove_section(f"program:{program}")
    parser.set("supervisord", "nodaemon", "true")
    parser.set("supervisord", "directory", _FOLDER)
    # Without a terminal it logs to standard output too, which is the only log then.
    parser.set("supervisord", "logfile", "/dev/null")
    parser.set("supervisord", "logfile_maxbytes", "0")
    for section in parser.sections():
        if section.startswith(_PROGRAMS):
            _log_to_container(parser, section)
    with target.open("w") as file:
        parser.write(file)


def _log_to_container(parser: UnhosedConfigParser, section: str) -> None:
    parser.set(section, "directory", _FOLDER)
    listens = section.startswith("eventlistener:")  # its standard output is its protocol
    stream, number = ("stderr", 2) if listens else ("stdout", 1)
    parser.set(section, f"{stream}_logfile", f"/dev/fd/{number}")
    parser.set(section, f"{stream}_logfile_maxbytes", "0")  # it cannot be rotated
    parser.remove_option(section, f"{stream}_logfile_backups")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m ops.fleet.container_config")
    arguments.add_argument("target", type=Path)
    write_container_config(arguments.parse_args().target)
