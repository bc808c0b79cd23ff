import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ops.fleet.config import LONGEST_SOCKET_PATH, ROOT, FleetConfig
from ops.fleet.down import runs
from ops.rig import Service, wait_until


def bash(script: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    source = f"set -euo pipefail; source {ROOT}/ops/environment.bash; {script}"
    return subprocess.run(
        ["/bin/bash", "-c", source],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clone(folder: Path) -> Path:
    (folder / "ops" / "fleet" / "run").mkdir(parents=True)
    (folder / "supervisord.conf").write_text((ROOT / "supervisord.conf").read_text())
    return folder


def test_a_deep_clone_gets_a_socket_elsewhere_that_fits(tmp_path: Path) -> None:
    deep = clone(tmp_path / ("a-deep-folder-" * 4) / ("another-" * 5))
    assert len(str(FleetConfig.read(deep / "supervisord.conf").socket)) > LONGEST_SOCKET_PATH
    made = bash("make_socket_path; make_socket_path", deep)
    assert made.returncode == 0, made.stderr
    moved = FleetConfig.read(deep / "supervisord.conf").socket
    assert len(str(moved)) <= LONGEST_SOCKET_PATH
    assert moved.parent.stat().st_mode & 0o777 == 0o700


def test_a_clone_of_usual_depth_keeps_its_socket(tmp_path: Path) -> None:
    usual = clone(tmp_path)
    assert bash("make_socket_path", usual).returncode == 0
    assert FleetConfig.read(usual / "supervisord.conf").socket == usual / "ops/fleet/run/s.sock"


def test_without_a_python_313_it_prints_how_to_get_one(tmp_path: Path) -> None:
    for tool in ("basename", "dirname"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    found = bash("find_python", tmp_path, PATH=str(tmp_path), HOME=str(tmp_path))
    if found.returncode:  # /usr/local/bin and Homebrew are looked into whatever PATH says
        assert "pyenv install 3.13" in found.stderr
        assert "uv python install 3.13" in found.stderr
    else:
        assert found.stdout.strip().startswith(("/usr/local", "/opt/homebrew"))


def test_a_python_of_pyenv_is_found_though_it_is_not_on_path(tmp_path: Path) -> None:
    binaries = tmp_path / "versions" / "3.13.99" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python3.13").symlink_to(sys.executable)
    empty = tmp_path / "empty"
    empty.mkdir()
    found = bash("find_python", tmp_path, PATH=str(empty), PYENV_ROOT=str(tmp_path))
    assert found.stdout.strip() == str(binaries / "python3.13")


def test_a_command_that_fails_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    done = bash("with_progress 'the thing' bash -c 'echo why it failed; exit 3'", tmp_path)
    assert done.returncode == 1
    assert "why it failed" in done.stderr
    assert "the thing failed" in done.stderr


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    module = tmp_path / "waits.py"
    module.write_text("import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    command = f"{sys.executable} -m ops.fleet.entrypoint waits & wait"
    search_path = os.pathsep.join((str(ROOT), str(tmp_path)))
    with Service(["/bin/bash", "-c", command], PYTHONPATH=search_path) as parent:

        def printed() -> str:
            return parent.output.strip()

        child = int(wait_until(printed))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not runs(child), what="the child has ended")


def test_a_child_whose_supervisord_died_before_it_began_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)\n")
    # What starts it has ended by the time it looks for its parent.
    orphan = f"(sleep 0.2; cd {tmp_path}; exec {sys.executable} -m ops.fleet.entrypoint waits)"
    search_path = os.pathsep.join((str(ROOT), str(tmp_path)))
    output = tmp_path / "output"
    script = f"{orphan} >{output} 2>&1 & echo $!"
    done = bash(script, tmp_path, PYTHONPATH=search_path, SUPERVISOR_ENABLED="1")
    child = int(done.stdout)
    if psutil.Process(child).ppid() != 1:
        os.kill(child, signal.SIGKILL)
        pytest.skip("orphans are not adopted by process 1 here")
    wait_until(lambda: not runs(child), what="the child has ended")
    assert not (tmp_path / "begun").exists(), output.read_text()


def test_a_child_may_open_more_files_than_its_parent(tmp_path: Path) -> None:
    (tmp_path / "limit.py").write_text(
        "import resource, sys\nprint(sys.argv, *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    script = f"ulimit -S -n 256; exec {sys.executable} -m ops.fleet.entrypoint limit --quick"
    search_path = os.pathsep.join((str(ROOT), str(tmp_path)))
    done = bash(script, tmp_path, PYTHONPATH=search_path)
    arguments, soft, hard = done.stdout.rsplit(maxsplit=2)
    assert "--quick" in arguments
    assert int(soft) == min(int(hard), 65_536)


@pytest.mark.parametrize("script", ["up", "down", "lock", "test"])
def test_a_script_explains_itself_and_starts_nothing(script: str, tmp_path: Path) -> None:
    shown = subprocess.run(
        [ROOT / "ops" / script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    first = (ROOT / "ops" / script).read_text().splitlines()[1]
    assert shown.startswith(f"{first.removeprefix('# ')}\n")
    wrong = ["--system", "x"] if script == "test" else ["x"]
    done = subprocess.run(
        [ROOT / "ops" / script, *wrong], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ops/{script}: ")
    assert len(done.stderr.splitlines()) == 1
