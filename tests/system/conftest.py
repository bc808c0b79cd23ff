import sys
from collections.abc import Iterator

import pytest

from ops.rig.disposable_fleet import DisposableFleet
from tests.support.trace_collector import TraceCollector


@pytest.fixture
def fleet(shared_fleet: DisposableFleet) -> DisposableFleet:
    """The one fleet of all acceptance tests, up: a test that failed must not fail the next."""
    if not shared_fleet.supervisord.up:
        shared_fleet.up()
    return shared_fleet


@pytest.fixture(scope="session")
def traces() -> Iterator[TraceCollector]:
    """The collector of the fleet's traces."""
    collector = TraceCollector()
    with collector.serving():
        yield collector


@pytest.fixture(scope="session")
def shared_fleet(
    traces: TraceCollector, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[DisposableFleet]:
    if worker_id != "master":
        # Fails in a second process of the suite: its pieces would not be dealt out as they are to.
        (tmp_path_factory.getbasetemp().parent / "the-one-fleet").mkdir()
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "notify-key").write_text("n" * 32)
    running = DisposableFleet(
        folder,
        NOTIFY_KEY_FILE=str(folder / "notify-key"),
        OTEL_EXPORTER_OTLP_ENDPOINT=traces.endpoint,
    )
    try:
        running.up()
        yield running
    except BaseException:
        sys.stderr.write(running.logs())
        raise
    finally:
        running.end()
