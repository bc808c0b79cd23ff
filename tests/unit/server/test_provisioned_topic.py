from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import grpc
import pytest
from google.api_core.exceptions import Forbidden, NotFound, ServiceUnavailable
from google.pubsub_v1 import Subscription
from requests.exceptions import ConnectionError as Unreachable

from ops.rig import eventually
from ops.runtime.settings import Settings
from server.provisioned_topic import LedgerCheck, ProvisionedTopic, subscription_check
from tests.support.server_in_process import FakeTopic, rpc_error

SETTINGS = Settings.parse({})
MISSING = rpc_error(grpc.StatusCode.NOT_FOUND, "missing")
AWAY = rpc_error(grpc.StatusCode.UNAVAILABLE, "away")


class Follower:
    """What follows the topic, as the test wants it."""

    def __init__(self) -> None:
        self.error: grpc.aio.AioRpcError | None = None

    async def __call__(self, timeout: float) -> None:  # noqa: ASYNC109
        assert timeout > 0
        if self.error is not None:
            raise self.error


@pytest.fixture
def follower() -> Follower:
    return Follower()


@pytest.fixture
def fake() -> FakeTopic:
    return FakeTopic()


@pytest.fixture
def topic(fake: FakeTopic, follower: Follower) -> ProvisionedTopic:
    return ProvisionedTopic(fake, [follower], 0.01)


async def refused(topic: ProvisionedTopic) -> grpc.StatusCode | None:
    """Return the code that a publish fails with, None if it succeeds."""
    try:
        await topic.publish([Mock(ordering_key="k", data=b"")], 1)
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return None


async def test_nothing_is_published_before_all_has_been_seen(
    topic: ProvisionedTopic, fake: FakeTopic, follower: Follower
) -> None:
    follower.error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "away"
    )
    assert await refused(topic) is grpc.StatusCode.FAILED_PRECONDITION
    follower.error = None
    for error in (AWAY, MISSING, AWAY):
        follower.error = error
        with pytest.raises(grpc.aio.AioRpcError):
            await topic.check(1)
        assert await refused(topic) is not None
    assert fake.calls == []
    follower.error = None
    await topic.check(1)
    assert await refused(topic) is None


async def test_what_is_deleted_later_stops_publishing_until_it_is_back(
    topic: ProvisionedTopic, fake: FakeTopic, follower: Follower
) -> None:
    async with topic.checking():
        assert await refused(topic) is None
        follower.error = MISSING
        await eventually(lambda: topic._fault is not None, what="the check fails")
        assert await refused(topic) is grpc.StatusCode.NOT_FOUND
        follower.error = None
        await eventually(lambda: topic._fault is None, what="the check succeeds")
        assert await refused(topic) is None
    assert len(fake.calls) == 2


async def test_a_service_that_is_away_changes_nothing(
    topic: ProvisionedTopic, follower: Follower
) -> None:
    await topic.check(1)
    follower.error = AWAY
    with pytest.raises(grpc.aio.AioRpcError):
        await topic.check(1)
    assert await refused(topic) is None


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Subscription(topic=SETTINGS.topic_path), None),
        (Subscription(topic="_deleted-topic_"), grpc.StatusCode.NOT_FOUND),
        (Subscription(topic=SETTINGS.topic_path, detached=True), grpc.StatusCode.NOT_FOUND),
        (NotFound("gone"), grpc.StatusCode.NOT_FOUND),
        (ServiceUnavailable("away"), grpc.StatusCode.UNAVAILABLE),
        (Forbidden("no role"), None),
    ],
)
async def test_the_subscription_must_be_one_of_the_topic(
    found: Any, code: grpc.StatusCode | None
) -> None:
    client = Mock(get_subscription=AsyncMock(side_effect=[found]))
    check = subscription_check(client, SETTINGS)
    if code is None:
        await check(1)
        return
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await check(1)
    assert error.value.code() is code


class Tables:
    """A BigQuery with these tables."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.error: Exception | None = None
        self.calls = 0

    def get_table(self, name: str, **_: object) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if name.rpartition(".")[2] not in self.names:
            raise NotFound(name)


LEDGER = ("gatekeeper_lane_31",)


async def outcome(check: LedgerCheck) -> str:
    try:
        await check(1)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[Tables], LedgerCheck]:
    settings = Settings.parse({"STATE_DIR": str(tmp_path / "state")})
    return lambda tables: LedgerCheck(tables, settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (LEDGER, "OK"),
        ((), "NOT_FOUND"),
        (("gatekeeper_lane_15",), "NOT_FOUND"),
        ((*LEDGER, "gatekeeper_lane_32"), "FAILED_PRECONDITION"),
    ],
)
async def test_the_ledger_must_be_there_with_as_many_lanes(
    ledger: Callable[[Tables], LedgerCheck], tables: tuple[str, ...], expected: str
) -> None:
    assert await outcome(ledger(Tables(*tables))) == expected


async def test_a_ledger_that_was_seen_counts_while_bigquery_is_away(
    ledger: Callable[[Tables], LedgerCheck],
) -> None:
    away = Tables()
    away.error = Unreachable()
    assert await outcome(ledger(away)) == "UNAVAILABLE"
    there = Tables(*LEDGER)
    seen = ledger(there)
    assert await outcome(seen) == await outcome(seen) == "OK"
    assert there.calls == 2, "it is not read for every check"
    assert await outcome(ledger(away)) == "OK"
    assert await outcome(ledger(Tables())) == "NOT_FOUND"


async def test_a_server_without_the_role_leaves_it_to_the_workers(
    ledger: Callable[[Tables], LedgerCheck],
) -> None:
    tables = Tables()
    tables.error = Forbidden("no role")
    assert await outcome(ledger(tables)) == "OK"


async def test_a_service_that_is_away_at_the_first_start_is_not_ready_and_at_a_restart_it_is(
    fake: FakeTopic, follower: Follower
) -> None:
    follower.error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "away"
    )
    found = []
    for seen_before in (False, True):
        topic = ProvisionedTopic(fake, [follower], 0.01, seen_before=seen_before)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await topic.check(1)
        found.append((await refused(topic), caught.value.code()))
    assert found == [
        (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.FAILED_PRECONDITION),
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
    ]


async def test_a_message_does_not_wait_for_the_next_periodic_check(
    fake: FakeTopic, follower: Follower
) -> None:
    topic = ProvisionedTopic(fake, [follower], 3600)
    assert await refused(topic) is None
