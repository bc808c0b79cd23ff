from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from ops.fleet.config import ROOT, FleetConfig
from ops.rig.disposable_fleet import DisposableFleet


def _programs(conf: Path) -> dict[str, Any]:
    options = ServerOptions()
    options.progname = "supervisord"
    options.realize(["-c", str(conf)])
    return {group.name: group.process_configs[0] for group in options.process_group_configs}


def _commands(conf: Path) -> dict[str, str]:
    return {name: program.command for name, program in _programs(conf).items()}


def _environments(conf: Path) -> dict[str, dict[str, str]]:
    return {name: program.environment for name, program in _programs(conf).items()}


def test_its_ports_folders_and_settings_are_not_those_of_any_other_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as around:
        around.setenv("PROJECT_ID", "the-cloud")
        fleet = DisposableFleet(tmp_path)
    assert fleet.settings.local
    read = FleetConfig.read(fleet.conf)
    assert read.address == fleet.address != "127.0.0.1:8080"
    assert {read.socket.parent, read.pid_file.parent, read.log.parent} == {tmp_path / "run"}
    assert all(program.log.parent == tmp_path / "run" for program in read.processes)


def test_it_has_its_own_port_when_the_port_in_supervisord_conf_was_changed(tmp_path: Path) -> None:
    text = (ROOT / "supervisord.conf").read_text()
    changed = tmp_path / "changed.conf"
    changed.write_text(text.replace("tcp://127.0.0.1:8080", "tcp://127.0.0.1:18080"))
    assert changed.read_text() != text
    fleet = DisposableFleet(tmp_path, source=changed)
    address = FleetConfig.read(fleet.conf).address
    assert address == fleet.address
    assert address not in {"127.0.0.1:8080", "127.0.0.1:18080"}


def test_a_launcher_is_put_before_the_module_of_its_program_alone(tmp_path: Path) -> None:
    fleet = DisposableFleet(tmp_path, launchers={"worker": ["some.launcher", "an-argument"]})
    commands = _commands(fleet.conf)
    assert commands["worker"] == (
        "python -m ops.fleet.entrypoint some.launcher an-argument workers"
    )
    assert commands["server"] == "python -m ops.fleet.entrypoint server"


def test_a_launcher_for_an_unknown_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wroker"):
        DisposableFleet(tmp_path, launchers={"wroker": ["x"]})


def test_a_variable_for_one_program_is_set_for_no_other(tmp_path: Path) -> None:
    own = {"worker": {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:1"}}
    environments = _environments(DisposableFleet(tmp_path, variables=own).conf)
    assert environments["worker"]["BIGQUERY_EMULATOR_HOST"] == "127.0.0.1:1"
    assert "BIGQUERY_EMULATOR_HOST" not in environments["server"]
    assert "BIGQUERY_EMULATOR_HOST" not in environments["bigquery"]
