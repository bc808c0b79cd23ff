import json
import os
import shlex
import socket
from pathlib import Path

import pytest

from ops.fleet.config import ConfiguredProcess, FleetConfig
from ops.fleet.ports import free_ports
from ops.fleet.startup import StartFailed
from ops.fleet.up import check_ports, needed_ports, summary
from ops.runtime.settings import Settings
from schema import check_body

CLOUD = {"PROJECT_ID": "a-project", "DATASET_ID": "d", "TOPIC_ID": "ttt", "SUBSCRIPTION_ID": "sss"}


def fleet(folder: Path, address: str = "0.0.0.0:8080", group: str = "server") -> FleetConfig:
    return FleetConfig(
        file=folder / "supervisord.conf",
        address=address,
        socket=folder / "s.sock",
        pid_file=folder / "pid",
        log=folder / "supervisord.log",
        processes=(ConfiguredProcess(group, f"{group}_00", folder / "a.log"),),
    )


def test_local_mode_needs_four_ports_and_the_cloud_one(tmp_path: Path) -> None:
    local = needed_ports(fleet(tmp_path), Settings.parse({}))
    assert [port.number for port in local] == [8080, 8085, 9050, 9091]
    cloud = needed_ports(fleet(tmp_path), Settings.parse(CLOUD))
    assert [port.number for port in cloud] == [8080]


def test_the_metrics_are_where_the_settings_have_them(tmp_path: Path) -> None:
    ours = fleet(tmp_path)
    assert "http://127.0.0.1:9091/metrics" in summary(ours, Settings.parse({}))
    assert "/metrics" not in summary(ours, Settings.parse(CLOUD))
    pulled = Settings.parse({**CLOUD, "METRICS_PORT": "9464", "METRICS_HOST": "0.0.0.0"})
    assert [port.number for port in needed_ports(ours, pulled)] == [8080, 9464]
    assert "http://127.0.0.1:9464/metrics" in summary(ours, pulled)


def test_a_machine_that_joins_needs_no_ports_of_services_or_servers_that_it_does_not_run(
    tmp_path: Path,
) -> None:
    joined = Settings.parse({"LOCAL": "0", "SERVERS": "0", "INSTANCE": "w1"})
    assert needed_ports(fleet(tmp_path, group="worker"), joined) == []
    assert [port.number for port in needed_ports(fleet(tmp_path), joined)] == [8080]
    shown = summary(fleet(tmp_path, group="worker"), joined)
    assert "  machine  w1\n" in shown
    assert "curl" not in shown


def test_a_port_in_use_is_reported_with_its_owner_and_where_to_change_it(tmp_path: Path) -> None:
    server, pubsub, warehouse, pushgateway = free_ports(4)
    settings = Settings.parse(
        {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub}",
            "BIGQUERY_EMULATOR_HOST": f"127.0.0.1:{warehouse}",
            "PUSHGATEWAY_PROMETHEUS_HOST": f"127.0.0.1:{pushgateway}",
        }
    )
    ours = fleet(tmp_path, f"127.0.0.1:{server}")
    check_ports(ours, settings)
    taken = f"port {warehouse} is in use by process {os.getpid()} .*set BIGQUERY_EMULATOR_HOST"
    with socket.create_server(("127.0.0.1", warehouse)), pytest.raises(StartFailed, match=taken):
        check_ports(ours, settings)
    elsewhere = r"\[fcgi-program:server\] in .*supervisord.conf"
    with socket.create_server(("127.0.0.1", server)), pytest.raises(StartFailed, match=elsewhere):
        check_ports(ours, settings)


def test_the_curl_that_is_shown_holds_a_valid_transaction(tmp_path: Path) -> None:
    shown = summary(fleet(tmp_path), Settings.parse({}))
    line = next(line for line in shown.splitlines() if line.strip().startswith("curl"))
    words = shlex.split(line)
    assert words[1] == "http://127.0.0.1:8080/api/activities"
    body = words[words.index("-d") + 1]
    assert check_body(body.encode()).activities
    table = json.loads(body)["activities"][0]["table"]
    assert f"SELECT * FROM {table}" in shown
