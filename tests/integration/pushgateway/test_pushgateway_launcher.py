"""How `python -m ops.local.pushgateway` starts, and where it does not."""

import socket
import sys
from pathlib import Path

from ops.rig import Service


def launch(tmp_path: Path, **variables: str) -> Service:
    environ = {"PATH": "/nonexistent", "STATE_DIR": str(tmp_path), **variables}
    return Service([sys.executable, "-m", "ops.local.pushgateway"], environ=environ)


def test_in_the_cloud_it_says_that_it_is_not_needed(tmp_path: Path) -> None:
    cloud = {
        "PROJECT_ID": "a-project",
        "DATASET_ID": "d",
        "TOPIC_ID": "topic",
        "SUBSCRIPTION_ID": "subscription",
    }
    with launch(tmp_path, **cloud) as service:
        assert service.wait() == 0
        assert service.output == "the local Pushgateway is not needed: PROJECT_ID is set\n"


def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with launch(tmp_path, PUSHGATEWAY_PROMETHEUS_HOST=address) as service:
            assert service.wait() == 1
            assert service.output == (
                f"the local Pushgateway cannot listen on {address} "
                "(PUSHGATEWAY_PROMETHEUS_HOST): Address already in use\n"
            )
