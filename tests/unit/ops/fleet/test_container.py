import pytest

from ops.fleet.container import words
from ops.runtime.fleet_files import supervisord_conf


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["supervisor.supervisord", "-c", str(supervisord_conf())]),
        (["server"], ["ops.fleet.entrypoint", "server"]),
        (["worker"], ["ops.fleet.entrypoint", "workers"]),
        (["provision", "--dry-run"], ["ops.commands", "provision", "--dry-run"]),
        (["status"], ["ops.commands", "status"]),
    ],
)
def test_a_container_runs_the_fleet_one_process_or_a_command(
    arguments: list[str], wanted: list[str]
) -> None:
    assert words(arguments) == wanted
