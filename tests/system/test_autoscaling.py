import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import PubsubMessage

from ops.rig import eventually, wait_until
from ops.rig.disposable_fleet import DisposableFleet
from ops.runtime import backlog, clients
from tests.support.stream import applied, insert, transaction

TARGET_SECONDS = 2.0
TRANSACTIONS = 3_000
CALL = 500


@pytest.fixture
def scaling_fleet(tmp_path: Path) -> Iterator[DisposableFleet]:
    """A fleet that scales itself; small batches, so that there is something for every worker."""
    running = DisposableFleet(
        tmp_path,
        AUTOSCALE_TARGET_SECONDS=str(TARGET_SECONDS),
        AUTOSCALE_MAX="3",
        BATCH_MAX_MESSAGES="100",
        LEASE_SECONDS="30",
    )
    try:
        running.up()
        yield running
    except BaseException:
        sys.stderr.write(running.logs())
        raise
    finally:
        running.end()


async def publish(fleet: DisposableFleet, table: str, count: int) -> None:
    """Publish `insert n` into `<table>_<n mod 4>` straight to the topic."""
    publisher = clients.publisher(fleet.settings)
    try:
        for which in range(4):
            name = f"{table}_{which}"
            numbers = range(which, count, 4)
            for part in itertools.batched(numbers, CALL, strict=False):
                messages = [
                    PubsubMessage(
                        data=json.dumps(transaction(insert(name, n=number))).encode(),
                        ordering_key=name,
                    )
                    for number in part
                ]
                await publisher.publish(topic=fleet.settings.topic_path, messages=messages)
    finally:
        await clients.close(publisher)


def decisions(fleet: DisposableFleet) -> list[dict[str, Any]]:
    """Return the autoscaler's decisions, as it logged them."""
    lines = (fleet.run / "autoscale.log").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event.get("action") == "scaled"]


async def test_a_backlog_brings_workers_and_they_go_when_it_is_gone(
    scaling_fleet: DisposableFleet,
) -> None:
    fleet = scaling_fleet

    def workers() -> int:
        number: int = fleet.supervisord.call("fleet.number", "worker")
        return number

    # Two by supervisord.conf, one by need. The decision is logged after it is carried out.
    await eventually(
        lambda: [each["to"] for each in decisions(fleet)][-1:] == [1],
        what="the minimum before the backlog",
    )
    before = len(decisions(fleet))
    # So that the backlog grows old on the fastest machine.
    fleet.supervisord.call("supervisor.stopProcess", "worker:worker_00")
    await publish(fleet, "scaled", TRANSACTIONS)
    await eventually(lambda: workers() == 3, what="more workers")
    fleet.supervisord.call("supervisor.startProcess", "worker:worker_00")
    await eventually(lambda: backlog.read(fleet.settings, 30).unacked == 0, what="all is acked")
    await eventually(
        lambda: [each["to"] for each in decisions(fleet)[before:]][-1:] == [1],
        what="the minimum again",
    )

    made = decisions(fleet)[before:]
    assert made[0]["oldest_age_seconds"] > TARGET_SECONDS / 2
    assert all({"from", "to", "reason", "backlog"} <= each.keys() for each in made)
    ups = [each["to"] > each["from"] for each in made]
    assert ups == sorted(ups, reverse=True), "the number changed its direction once"
    page = fleet.get(f"http://{fleet.settings.pushgateway_prometheus_host}/metrics")
    assert 'gatekeeper_autoscale_decisions_total{direction="up"' in page
    await asyncio.to_thread(wait_until, lambda: len(fleet.states("worker")) == 1, 30)
    counts = applied(fleet, "scaled")
    assert set(counts) == set(range(TRANSACTIONS))
    assert set(counts.values()) == {1}
