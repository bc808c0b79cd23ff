import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.fleet.config import ROOT
from ops.fleet.ports import listening
from ops.rig import Service, free_port, wait_until
from ops.runtime.supervisord import ProcessState, Supervisord

CONF = """
[supervisord]
directory={root}
logfile={run}/supervisord.log
pidfile={run}/supervisord.pid
nodaemon=true
[unix_http_server]
file={run}/s.sock
[supervisorctl]
serverurl=unix://{run}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:fleet]
supervisor.rpcinterface_factory=ops.fleet.scaling.supervisord_plugin:make
[ctlplugin:fleet]
supervisor.ctl_factory=ops.fleet.scaling.supervisorctl_plugin:make
[fcgi-program:server]
socket=tcp://127.0.0.1:{port}
command=python {folder}/serve.py
process_name=%(program_name)s_%(process_num)02d
numprocs=1
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
[program:worker]
command=python {folder}/work.py
process_name=%(program_name)s_%(process_num)02d
numprocs=2
directory={folder}
startsecs=0
stopwaitsecs=2
stdout_logfile={run}/%(program_name)s_%(process_num)02d.log
stderr_logfile=NONE
"""

SERVE = """
import http.server, socket
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("", 0), Ready, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=0)
server.serve_forever()
"""

WORK = """
import pathlib, signal, sys, time
def drain(*_):
    while pathlib.Path("run/hold").exists():
        time.sleep(0.02)
    print("drained", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, drain)
print("started", flush=True)
while True:
    signal.pause()
"""


EARLIER = """\
push_time_seconds{instance="m1:worker_07",job="gatekeeper_worker"} 5
push_time_seconds{instance="m2:worker_07",job="gatekeeper_worker"} 5
"""


class DeletionLog:
    """A Pushgateway with two machines' groups of long ago, that notes what is deleted."""

    def __init__(self) -> None:
        deleted: list[str] = []

        class Noting(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(EARLIER.encode())

            def do_DELETE(self) -> None:
                deleted.append(urllib.parse.unquote(self.path))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.deleted = deleted
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def gateway() -> Iterator[DeletionLog]:
    running = DeletionLog()
    with running.server:
        thread = threading.Thread(target=running.server.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.server.shutdown()
        thread.join()


class SmallFleet:
    """supervisord with our plugins over programs that do nothing but start and drain."""

    def __init__(self, folder: Path, gateway: DeletionLog) -> None:
        self.gateway = gateway
        self.run = folder / "run"
        self.run.mkdir()
        self.conf = folder / "supervisord.conf"
        self.port = free_port()
        self.conf.write_text(
            CONF.format(root=ROOT, run=self.run, port=self.port, folder=folder),
        )
        (folder / "serve.py").write_text(SERVE)
        (folder / "work.py").write_text(WORK)
        self.service = Service(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self.conf],
            environ={
                **os.environ,
                "PUSHGATEWAY_PROMETHEUS_HOST": gateway.address,
                "INSTANCE": "m1",
            },
        )
        self.supervisord = Supervisord(self.run / "s.sock")

    def start(self) -> None:
        self.service.start()
        wait_until(lambda: self.supervisord.up and self.running("worker"))

    def ctl(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", self.conf, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def states(self, group: str) -> list[ProcessState]:
        return [each for each in self.supervisord.states() if each.group == group]

    def running(self, group: str) -> dict[str, int]:
        states = self.states(group)
        return {each.name: each.pid for each in states if each.state == "RUNNING"}

    def log(self, name: str) -> list[str]:
        file = self.run / f"{name}.log"
        return file.read_text().split("\n")[:-1] if file.exists() else []


@pytest.fixture
def fleet(tmp_path: Path, gateway: DeletionLog) -> Iterator[SmallFleet]:
    running = SmallFleet(tmp_path, gateway)
    try:
        running.start()
        yield running
    finally:
        (running.run / "hold").unlink(missing_ok=True)
        running.service.stop()


def group(name: str) -> str:
    """Return the path of a worker's group on the Pushgateway."""
    return f"/metrics/job/gatekeeper_worker/instance/m1:{name}"


def names(count: int) -> set[str]:
    return {f"worker_{number:02}" for number in range(count)}


def test_scaling_adds_and_drains_without_touching_the_others(fleet: SmallFleet) -> None:
    before = wait_until(lambda: len(found := fleet.running("worker")) == 2 and found)

    assert "added worker_02, worker_03" in fleet.ctl("scale", "worker", "4")
    wait_until(lambda: fleet.running("worker").keys() == names(4))
    wait_until(lambda: all("started" in fleet.log(name) for name in names(4)))

    assert "draining worker_01, worker_02, worker_03" in fleet.ctl("scale", "worker", "1")
    wait_until(lambda: {each.name for each in fleet.states("worker")} == names(1))
    assert fleet.running("worker")["worker_00"] == before["worker_00"]
    for name in names(4) - names(1):
        assert fleet.log(name) == ["started", "drained"]
    groups = {group(name) for name in names(4) - names(1)}
    wait_until(lambda: groups <= set(fleet.gateway.deleted), 60)
    assert group("worker_00") not in fleet.gateway.deleted


def test_no_dead_process_keeps_its_metrics(fleet: SmallFleet) -> None:
    before = wait_until(lambda: len(found := fleet.running("worker")) == 2 and found)
    wait_until(lambda: "started" in fleet.log("worker_01"), 60)
    deleted = fleet.gateway.deleted
    wait_until(lambda: group("worker_07") in deleted, 60)  # of an earlier fleet
    assert group("worker_00") not in deleted

    os.kill(before["worker_00"], signal.SIGKILL)
    wait_until(lambda: group("worker_00") in deleted, 60)
    (fleet.run / "hold").touch()
    fleet.ctl("scale", "worker", "1")  # it does not drain, and is killed
    wait_until(lambda: group("worker_01") in deleted, 60)
    assert fleet.log("worker_01") == ["started"]
    assert all("instance/m1:" in each for each in deleted), "no other machine's"


def test_the_number_survives_a_restart_of_supervisord(fleet: SmallFleet) -> None:
    fleet.ctl("scale", "worker", "3")
    wait_until(lambda: all("started" in fleet.log(name) for name in names(3)))
    fleet.service.stop()
    assert fleet.log("worker_02")[-1] == "drained"
    fleet.start()
    wait_until(lambda: fleet.running("worker").keys() == names(3))


def test_a_worker_wanted_back_while_it_drains_comes_back(fleet: SmallFleet) -> None:
    wait_until(lambda: len(fleet.running("worker")) == 2 and "started" in fleet.log("worker_01"))
    (fleet.run / "hold").touch()
    fleet.ctl("scale", "worker", "1")
    assert "added worker_01" in fleet.ctl("scale", "worker", "2")
    (fleet.run / "hold").unlink()
    wait_until(lambda: fleet.log("worker_01") == ["started", "drained", "started"])
    wait_until(lambda: fleet.running("worker").keys() == names(2))


def test_a_machine_may_have_no_workers_and_get_some_again(fleet: SmallFleet) -> None:
    wait_until(lambda: len(fleet.running("worker")) == 2)
    fleet.ctl("scale", "worker", "0")
    wait_until(lambda: not fleet.states("worker"))
    assert "added worker_00" in fleet.ctl("scale", "worker", "1")
    wait_until(lambda: fleet.running("worker").keys() == names(1))


def test_the_settings_give_the_numbers_and_scale_overrides_them(fleet: SmallFleet) -> None:
    fleet.service.stop()
    dotenv = fleet.conf.with_name(".env")  # the programs' directory
    dotenv.write_text("WORKERS=3\nSERVERS=0\n")
    conf = fleet.conf.read_text()
    fleet.conf.write_text(conf.replace("numprocs=1\n", f"numprocs=1\ndirectory={dotenv.parent}\n"))
    fleet.start()
    wait_until(lambda: fleet.running("worker").keys() == names(3))
    assert fleet.states("server") == []
    assert not listening(f"127.0.0.1:{fleet.port}")
    assert "No config updates" in fleet.ctl("reread")

    fleet.ctl("scale", "worker", "1")
    fleet.ctl("scale", "server", "1")
    wait_until(lambda: listening(f"127.0.0.1:{fleet.port}"))
    fleet.service.stop()
    fleet.start()
    wait_until(lambda: fleet.running("worker").keys() == names(1))
    wait_until(lambda: len(fleet.running("server")) == 1)
    assert fleet.ctl("scale", "worker", "3")
    assert json.loads((fleet.run / "scale.json").read_text()) == {"server": 1}


def test_wrong_settings_stop_supervisord_with_their_faults(fleet: SmallFleet) -> None:
    fleet.service.stop()
    fleet.conf.with_name(".env").write_text("WORKERS=many\n")
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", fleet.conf],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert ".env line 1: WORKERS='many': expected a whole number from 0 to 99" in done.stderr


def test_reread_sees_no_change_and_update_keeps_the_number(fleet: SmallFleet) -> None:
    fleet.ctl("scale", "worker", "3")
    wait_until(lambda: len(fleet.running("worker")) == 3)
    assert "No config updates" in fleet.ctl("reread")
    conf = fleet.conf.read_text()
    fleet.conf.write_text(conf.replace("stopwaitsecs=2", "stopwaitsecs=11"))
    assert "worker: updated process group" in fleet.ctl("update")
    wait_until(lambda: fleet.running("worker").keys() == names(3))


def test_servers_share_the_socket_and_roll_one_at_a_time(fleet: SmallFleet) -> None:
    fleet.ctl("scale", "server", "2")
    before = wait_until(lambda: len(found := fleet.running("server")) == 2 and found)
    said = fleet.ctl("roll", "server")
    assert said.splitlines() == ["server_00: restarted", "server_01: restarted"]
    after = fleet.running("server")
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.port}/readyz", timeout=60) as answer:
        assert answer.status == 200


def test_misuse_changes_nothing_and_prints_the_reason(fleet: SmallFleet) -> None:
    before = [each.name for each in fleet.states("worker")]
    for words, status, message in (
        (["scale", "worker"], 2, "usage"),
        (["scale", "worker", "many"], 2, "usage"),
        (["scale", "worker", "-1"], 2, "usage"),
        (["scale", "worker", "100"], 1, "from 0 to 99"),
        (["scale", "wroker", "3"], 1, "server and worker can"),
        (["roll", "wroker"], 1, "no group 'wroker'"),
    ):
        assert message in fleet.ctl(*words, status=status)
    assert [each.name for each in fleet.states("worker")] == before
