import signal
import subprocess
import sys

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


def with_own_output(script: str) -> "subprocess.Popen[str]":
    """Start a shell script by `run_with_own_output`."""
    code = "import sys; from ops.fleet.container import run_with_own_output as run; sys.exit(run("
    command = [sys.executable, "-c", f"{code}['sh', '-c', {script!r}]))"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_programs_write_to_the_descriptors_is_copied_and_the_exit_status_is_kept() -> None:
    script = "echo one >/dev/fd/1; echo two >/dev/fd/2; exit 3"
    with with_own_output(script) as running:
        output, _ = running.communicate(timeout=60)
    assert (output, running.returncode) == ("one\ntwo\n", 3)


def test_a_signal_is_passed_on_and_the_end_is_waited_for() -> None:
    script = "trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    with with_own_output(script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "drained\n"
    assert running.returncode == 0
