"""Writes a changed copy of supervisord.conf, for a fleet in another folder and on another port.

The file is parsed, changed and written as sections and options, so its layout and its port do not
matter.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import UnhosedConfigParser

from ops.fleet.config import ROOT

ENTRYPOINT = "ops.fleet.entrypoint"
_FILES = ("file", "logfile", "pidfile", "stdout_logfile", "stderr_logfile")
_NO_FILE = {"NONE", "OFF", "AUTO", "SYSLOG"}
_KINDS = ("fcgi-program", "program", "eventlistener")


def write_copy(  # noqa: PLR0913  # all but the first are keyword-only changes
    target: Path,
    *,
    run_folder: Path,
    address: str,
    processes: Mapping[str, int] | None = None,
    environment: Mapping[str, Mapping[str, str]] | None = None,
    launchers: Mapping[str, Sequence[str]] | None = None,
    source: Path = ROOT / "supervisord.conf",
) -> None:
    """Write `source` to `target` with these changes; everything else stays.

    supervisord's socket, its pid file and all logs go to `run_folder`; the server listens at
    `address`, `host:port`. By program: `processes` is the number of its processes, `environment`
    has variables to add, `launchers` the words between `ops.fleet.entrypoint` and its module.
    The copy includes no other file, and supervisord has no port.

    Raises ValueError for a program that `source` does not have.
    """
    parser = _read(source)
    _move_files(parser, run_folder)
    parser.set(_section(parser, "server"), "socket", f"tcp://{address}")
    for program, count in (processes or {}).items():
        parser.set(_section(parser, program), "numprocs", str(count))
    for program, variables in (environment or {}).items():
        _add_environment(parser, _section(parser, program), variables)
    for program, words in (launchers or {}).items():
        _add_launcher(parser, _section(parser, program), words)
    with target.open("w") as file:
        parser.write(file)


def _read(source: Path) -> UnhosedConfigParser:
    """Parse a configuration, with `%(here)s` replaced by its folder."""
    parser = UnhosedConfigParser()
    with source.open() as file:
        parser.read_file(file)
    for section in ("include", "inet_http_server"):
        parser.remove_section(section)
    here = _escaped(source.resolve().parent)
    for section in parser.sections():
        for option, value in parser.items(section):
            parser.set(section, option, value.replace("%(here)s", here))
    return parser


def _escaped(text: str | Path) -> str:
    return str(text).replace("%", "%%")


def _move_files(parser: UnhosedConfigParser, run_folder: Path) -> None:
    folder = _escaped(run_folder)
    for section in parser.sections():
        for option in _FILES:
            path = parser.get(section, option, fallback="NONE")
            if path.upper() not in _NO_FILE:
                parser.set(section, option, f"{folder}/{Path(path).name}")
    parser.set("supervisord", "childlogdir", folder)
    socket = parser.get("unix_http_server", "file")
    parser.set("supervisorctl", "serverurl", f"unix://{socket}")


def _section(parser: UnhosedConfigParser, program: str) -> str:
    for kind in _KINDS:
        if parser.has_section(f"{kind}:{program}"):
            return f"{kind}:{program}"
    raise ValueError(f"supervisord.conf has no program {program}")


def _add_environment(
    parser: UnhosedConfigParser, section: str, variables: Mapping[str, str]
) -> None:
    given = dict_of_key_value_pairs(parser.get(section, "environment", fallback=""))
    added = {name: _escaped(value) for name, value in variables.items()}
    pairs = [f'{name}="{value}"' for name, value in {**given, **added}.items()]
    parser.set(section, "environment", ",".join(pairs))


def _add_launcher(parser: UnhosedConfigParser, section: str, words: Sequence[str]) -> None:
    before, entrypoint, after = parser.get(section, "command").partition(f" {ENTRYPOINT} ")
    if not entrypoint:
        raise ValueError(f"the command of [{section}] does not start {ENTRYPOINT}")
    launcher = "".join(f"{_escaped(word)} " for word in words)
    parser.set(section, "command", before + entrypoint + launcher + after)
