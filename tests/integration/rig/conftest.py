from collections.abc import Iterator

import pytest

from ops.rig import Service, free_port


@pytest.fixture(scope="module")
def local_bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded BigQuery."""
    address = f"127.0.0.1:{free_port()}"
    state = str(tmp_path_factory.mktemp("bigquery"))
    variables = {"BIGQUERY_EMULATOR_HOST": address, "STATE_DIR": state, "PROJECT_ID": ""}
    with Service.module("ops.local.bigquery", **variables) as service:
        service.wait_for_port(address)
        yield address
