import configparser
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from ops.fleet.config import ROOT, FleetConfig
from ops.fleet.config_copy import write_copy


def read(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(file)
    return parser


def test_the_copy_is_a_fleet_in_its_folder_and_at_its_address(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    run.mkdir()
    write_copy(tmp_path / "copy.conf", run_folder=run, address="127.0.0.1:18080")
    original, copy = FleetConfig.read(), FleetConfig.read(tmp_path / "copy.conf")
    assert copy.address == "127.0.0.1:18080"
    assert {copy.socket.parent, copy.pid_file.parent, copy.log.parent} == {run}
    assert [each.name for each in copy.processes] == [each.name for each in original.processes]
    assert [each.log for each in copy.processes] == [
        run / each.log.name for each in original.processes
    ]
    assert read(tmp_path / "copy.conf")["supervisorctl"]["serverurl"].endswith("a run/s.sock")


def test_it_does_not_matter_how_the_file_is_written_or_which_port_it_has(tmp_path: Path) -> None:
    text = (ROOT / "supervisord.conf").read_text()
    changed = (
        text.replace("tcp://127.0.0.1:8080", "tcp://0.0.0.0:80  ; ours")
        .replace("%(here)s/ops/fleet/run", "/var/log/gatekeeper")
        .replace("numprocs=2", "numprocs : 3")
    )
    changed += "\n[inet_http_server]\nport=127.0.0.1:9001\n"
    (tmp_path / "changed.conf").write_text(changed)
    write_copy(
        tmp_path / "copy.conf",
        source=tmp_path / "changed.conf",
        run_folder=tmp_path,
        address="127.0.0.1:18080",
        processes={"worker": 1},
    )
    fleet = FleetConfig.read(tmp_path / "copy.conf")
    assert fleet.address == "127.0.0.1:18080"
    assert fleet.socket == tmp_path / "s.sock"
    assert [each.name for each in fleet.processes if each.group == "worker"] == ["worker_00"]
    assert len([each for each in fleet.processes if each.group == "server"]) == 3
    assert "inet_http_server" not in read(tmp_path / "copy.conf")


def test_a_program_gets_variables_and_a_launcher(tmp_path: Path) -> None:
    write_copy(
        tmp_path / "copy.conf",
        run_folder=tmp_path,
        address="127.0.0.1:18080",
        environment={"worker": {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:1", "OTHER": "a, 100%"}},
        launchers={"worker": ["some.launcher", "5"]},
    )
    options = ServerOptions()
    options.progname = "supervisord"
    options.realize(["-c", str(tmp_path / "copy.conf")])
    processes = {
        process.name: process
        for group in options.process_group_configs
        for process in group.process_configs
    }
    worker, server = processes["worker_00"], processes["server_00"]
    assert worker.command == "python -m ops.fleet.entrypoint some.launcher 5 workers"
    assert worker.environment["BIGQUERY_EMULATOR_HOST"] == "127.0.0.1:1"
    assert worker.environment["OTHER"] == "a, 100%"
    assert worker.directory == str(ROOT)
    assert "OTHER" not in server.environment
    assert server.command == "python -m ops.fleet.entrypoint server"


def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wroker"):
        write_copy(
            tmp_path / "copy.conf",
            run_folder=tmp_path,
            address="127.0.0.1:18080",
            launchers={"wroker": ["x"]},
        )
