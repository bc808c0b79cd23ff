"""The tested servers: ours, and Google's emulator if it is installed."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ops.rig import Service, free_port
from tests.support.pubsub import Client, local_server


def pytest_configure(config: pytest.Config) -> None:
    line = "emulator_differs(how): Google's emulator does not do this as documented"
    config.addinivalue_line("markers", line)


_EMULATOR_JARS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*.jar"
_USUAL_ROOTS = ("/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", "~/google-cloud-sdk")


def _sdk_roots() -> Iterator[Path]:
    gcloud = shutil.which("gcloud")
    if gcloud:
        yield Path(gcloud).resolve().parents[1]
    yield from (Path(root).expanduser() for root in _USUAL_ROOTS)
    if gcloud:
        command = [gcloud, "info", "--format=value(installation.sdk_root)"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        yield Path(found.stdout.strip() or "/nowhere")


def emulator_command(port: int) -> list[str]:
    """Return the command of Google's emulator; skip the test if it is not installed."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("Google's Pub/Sub emulator needs java, and there is none on PATH")
    jars = (jar for root in _sdk_roots() for jar in sorted(root.glob(_EMULATOR_JARS)))
    jar = next(jars, None)
    if jar is None:
        pytest.skip("Google's Pub/Sub emulator is not installed (gcloud's pubsub-emulator)")
    return [java, "-Xmx512m", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]


@pytest.fixture(scope="session", params=["local", "google"])
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server of each kind."""
    port = free_port()
    if request.param == "google":
        service = Service(emulator_command(port))
    else:
        service = local_server(tmp_path_factory.mktemp("pubsub"), port)
    with service:
        service.wait_for_port(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _where_the_emulator_is_not_the_service(request: pytest.FixtureRequest) -> None:
    """Skip tests marked `emulator_differs("how")` on Google's emulator."""
    mark = request.node.get_closest_marker("emulator_differs")
    if mark and request.node.callspec.params["backend"] == "google":
        pytest.skip(f"the emulator differs from the documented service: {mark.args[0]}")


@pytest.fixture
async def client(backend: str) -> AsyncIterator[Client]:
    """A client of the backend."""
    client = Client(backend)
    yield client
    await client.channel.close()
