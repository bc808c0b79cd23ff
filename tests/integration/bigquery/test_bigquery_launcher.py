"""How `python -m ops.local.bigquery` starts and stops, and where it does not."""

import shutil
import socket
import time
import urllib.request
from pathlib import Path

from ops.rig import Service, wait_until
from tests.integration.bigquery.conftest import DATASET, Emulator

LISTENING = "0A"


def listened_to(pid: int) -> set[str]:
    """Return the `address:port`s (hexadecimal, as Linux writes them) that a process listens at."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == LISTENING and row[9] in inodes}


def test_it_listens_at_the_given_address_and_nowhere_else(emulator: Emulator) -> None:
    port = int(emulator.address.rpartition(":")[2])
    assert listened_to(emulator.service.pid) == {f"0100007F:{port:04X}"}


def test_it_says_that_it_is_healthy(emulator: Emulator) -> None:
    with urllib.request.urlopen(f"http://{emulator.address}/healthz", timeout=5) as answer:
        assert answer.read() == b'{"status":"ok"}'


def test_in_the_cloud_it_says_that_it_is_not_needed(tmp_path: Path) -> None:
    cloud = {
        "PROJECT_ID": "a-project",
        "DATASET_ID": "d",
        "TOPIC_ID": "topic",
        "SUBSCRIPTION_ID": "subscription",
        "STATE_DIR": str(tmp_path),
    }
    with Service.module("ops.local.bigquery", **cloud) as service:
        assert service.wait() == 0
        assert service.output == "local BigQuery is not needed: PROJECT_ID is set\n"


def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        variables = {"BIGQUERY_EMULATOR_HOST": address, "STATE_DIR": str(tmp_path)}
        with Service.module("ops.local.bigquery", **variables) as service:
            assert service.wait() == 1
            assert service.output == (
                f"local BigQuery cannot listen on {address} (BIGQUERY_EMULATOR_HOST): "
                "Address already in use\n"
            )


def test_a_state_directory_in_use_is_named_in_one_line(emulator: Emulator) -> None:
    second = Emulator(emulator.state)
    with second.service as service:
        assert service.wait() == 1
        assert service.output.startswith(f"local BigQuery cannot use {emulator.state}/bigquery: ")
        assert service.output.count("\n") == 1


def test_a_stop_is_quick_and_the_next_start_tidies_up_even_elsewhere(tmp_path: Path) -> None:
    ledger = f"{DATASET}.gatekeeper_ledger_00"
    with Emulator(tmp_path / "here") as first:
        first.run(f"CREATE TABLE `{ledger}` (id STRING, settled_at TIMESTAMP)")
        for age in (0, 29, 31):
            first.run(
                f"INSERT INTO `{ledger}` (id, settled_at) SELECT '{age} days', "
                f"TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {age} DAY)"
            )
        started = time.monotonic()
        assert first.service.stop() == 0
        assert time.monotonic() - started < 10
    orphan = tmp_path / "here/bigquery/gatekeeper-local/left-by-a-crash.parquet"
    orphan.write_bytes(b"half")
    shutil.move(tmp_path / "here", tmp_path / "there")
    with Emulator(tmp_path / "there", LEDGER_DAYS="30") as second:
        assert not list(second.state.rglob(orphan.name))

        def expired() -> bool:
            kept = second.rows(f"SELECT id FROM `{ledger}` ORDER BY id")
            return bool(kept == [("0 days",), ("29 days",)])

        wait_until(expired, 60, "the first round of maintenance expires rows")
