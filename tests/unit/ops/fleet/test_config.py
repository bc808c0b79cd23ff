from pathlib import Path

from ops.fleet.config import LONGEST_SOCKET_PATH, ROOT, FleetConfig


def test_the_committed_configuration_is_read_as_supervisor_reads_it() -> None:
    fleet = FleetConfig.read()
    assert fleet.address == "127.0.0.1:8080"
    assert fleet.socket.parent == ROOT / "ops" / "fleet" / "run"
    assert {each.name for each in fleet.processes} == {
        "server_00", "server_01", "worker_00", "worker_01",
        "pubsub", "bigquery", "pushgateway", "provision", "autoscale", "notifier",
    }  # fmt: skip


def test_an_event_listeners_log_is_its_standard_error() -> None:
    fleet = FleetConfig.read()
    assert fleet.log_of("autoscale") == fleet.log.with_name("autoscale.log")


def test_the_included_socket_wins(tmp_path: Path) -> None:
    run = tmp_path / "ops" / "fleet" / "run"
    run.mkdir(parents=True)
    (tmp_path / "supervisord.conf").write_text((ROOT / "supervisord.conf").read_text())
    (run / "socket.conf").write_text("[unix_http_server]\nfile=/tmp/short.sock\n")
    assert FleetConfig.read(tmp_path / "supervisord.conf").socket == Path("/tmp/short.sock")


def test_the_limit_leaves_room_for_supervisords_temporary_name() -> None:
    assert LONGEST_SOCKET_PATH + len(".4194304") == 107


def test_the_server_may_listen_on_an_ipv6_address(tmp_path: Path) -> None:
    text = (ROOT / "supervisord.conf").read_text()
    (tmp_path / "ops" / "fleet" / "run").mkdir(parents=True)
    (tmp_path / "supervisord.conf").write_text(text.replace("tcp://127.0.0.1:", "tcp://[::1]:"))
    fleet = FleetConfig.read(tmp_path / "supervisord.conf")
    assert fleet.address == fleet.reachable == "[::1]:8080"
