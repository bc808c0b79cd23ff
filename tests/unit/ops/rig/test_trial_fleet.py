from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from ops.fleet.config import Fleet
from ops.rig.trial_fleet import TrialFleet


def _commands(conf: Path) -> dict[str, str]:
    options = ServerOptions()
    options.progname = "supervisord"
    options.realize(["-c", str(conf)])
    groups = options.process_group_configs
    return {group.name: group.process_configs[0].command for group in groups}


def test_a_trial_has_ports_a_folder_and_settings_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_ID", "the-cloud")
    fleet = TrialFleet(tmp_path)
    assert fleet.settings.local
    read = Fleet.read(fleet.conf)
    assert read.address == fleet.address != "127.0.0.1:8080"
    assert {read.socket.parent, read.pid_file.parent, read.log.parent} == {tmp_path / "run"}
    assert all(program.log.parent == tmp_path / "run" for program in read.programs)


def test_a_launcher_goes_before_its_programs_module_and_no_others(tmp_path: Path) -> None:
    fleet = TrialFleet(
        tmp_path,
        prefixes={"worker": ["some.launcher", "an-argument"]},
        variables={"worker": {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:1"}},
    )
    commands = _commands(fleet.conf)
    assert commands["worker"] == (
        "env BIGQUERY_EMULATOR_HOST=127.0.0.1:1 "
        "python -m ops.fleet.entrypoint some.launcher an-argument workers"
    )
    assert commands["server"] == "python -m ops.fleet.entrypoint server"


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for wroker"):
        TrialFleet(tmp_path, prefixes={"wroker": ["x"]})
