import configparser
from pathlib import Path

from ops.fleet.config import ROOT, FleetConfig
from ops.fleet.container_config import PORT, RUN_FOLDER, write_container_config


def read(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(file)
    return parser


def test_the_fleet_of_the_image_is_that_of_the_repository_without_local_mode(
    tmp_path: Path,
) -> None:
    file = tmp_path / "supervisord.conf"
    write_container_config(file)
    for folder in ("/etc/gatekeeper", str(RUN_FOLDER)):  # supervisord checks that they exist
        file.write_text(file.read_text().replace(folder, str(tmp_path)))
    fleet = FleetConfig.read(tmp_path / "supervisord.conf")
    assert fleet.address == f"0.0.0.0:{PORT}"
    assert {fleet.socket.parent, fleet.pid_file.parent} == {tmp_path}
    assert {each.name for each in fleet.processes} == {
        "server_00", "server_01", "worker_00", "worker_01", "autoscale", "notifier",
    }  # fmt: skip
    assert {str(each.log) for each in fleet.processes} == {"/dev/fd/1", "/dev/fd/2"}


def test_nothing_is_written_beyond_the_volume_and_the_standard_streams(tmp_path: Path) -> None:
    write_container_config(tmp_path / "supervisord.conf")
    text = (tmp_path / "supervisord.conf").read_text()
    assert str(ROOT) not in text
    parser = read(tmp_path / "supervisord.conf")
    for name in parser.sections():
        for option, value in parser.items(name):
            if option.endswith("logfile") and value not in {"NONE", "/dev/null"}:
                assert value.startswith("/dev/fd/")
                assert parser.get(name, f"{option}_maxbytes") == "0"
    assert parser.get("supervisord", "nodaemon") == "true"


def test_what_a_program_does_when_it_stops_is_as_in_the_repository(tmp_path: Path) -> None:
    write_container_config(tmp_path / "supervisord.conf")
    ours, theirs = read(ROOT / "supervisord.conf"), read(tmp_path / "supervisord.conf")
    for section in ("fcgi-program:server", "program:worker"):
        for option in ("command", "stopwaitsecs", "priority", "autorestart", "killasgroup"):
            assert theirs.get(section, option) == ours.get(section, option)
