import socket

from ops.fleet.config import ROOT
from ops.fleet.ports import listening
from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.stream import insert, transaction

COUNT = "SELECT COUNT(*) AS n FROM kept"


def test_down_drains_and_the_next_up_finds_the_same_rows(fleet: DisposableFleet) -> None:
    for number in range(50):
        assert fleet.post(transaction(insert("kept", n=number)))[0] == 200
    # Not waited for: what is still on its way when the fleet goes down arrives after it is up.
    said = fleet.down()
    assert "draining" in said
    assert "down" in said
    assert not listening(fleet.address)
    assert fleet.processes() == []
    assert "not running" in fleet.down()

    said = fleet.up()
    assert "Gatekeeper is up" in said
    assert f"http://{fleet.address}/api/activities" in said

    def all_there() -> bool:
        tables = fleet.query("SELECT table_name FROM INFORMATION_SCHEMA.TABLES")
        return "kept" in {row["table_name"] for row in tables} and fleet.query(COUNT)[0]["n"] == 50

    wait_until(all_there, what="all 50 rows")


def test_up_with_the_fleet_up_changes_nothing(fleet: DisposableFleet) -> None:
    before = [(state.name, state.pid) for state in fleet.states()]
    assert "Gatekeeper is up" in fleet.up()
    assert [(state.name, state.pid) for state in fleet.states()] == before
    assert fleet.command("bash", "-c", f"{ROOT}/ops/up | true").stderr == ""


def test_up_starts_what_somebody_stopped(fleet: DisposableFleet) -> None:
    fleet.supervisord.call("supervisor.stopProcess", "worker:worker_01")
    assert "worker_01" in fleet.up()
    wait_until(lambda: {each.state for each in fleet.states("worker")} == {"RUNNING"})


def test_up_names_a_taken_port_its_owner_and_the_remedy(fleet: DisposableFleet) -> None:
    fleet.down()
    address = fleet.settings.pubsub_emulator_host or ""
    port = int(address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        refused = fleet.command(ROOT / "ops" / "up", check=False)
    assert refused.returncode == 1
    assert f"port {port} is in use by process" in refused.stderr
    assert "PUBSUB_EMULATOR_HOST" in refused.stderr
    assert not fleet.supervisord.up
    fleet.up()


def test_the_commands_work_from_any_directory(fleet: DisposableFleet) -> None:
    assert "already running" in fleet.command(ROOT / "ops" / "up", cwd=fleet.run).stdout


def test_what_the_fleet_writes_is_for_its_own_user_alone(fleet: DisposableFleet) -> None:
    assert fleet.post(transaction(insert("private", n=1)))[0] == 200
    written = [*fleet.run.iterdir(), *fleet.settings.state_dir.rglob("*")]
    assert {"server_00.log", "s.sock"} <= {each.name for each in written}
    written.remove(fleet.run / "supervisord.log")  # opened before its umask is set
    open_to_others = [each for each in written if each.stat().st_mode & 0o077]
    assert open_to_others == []
