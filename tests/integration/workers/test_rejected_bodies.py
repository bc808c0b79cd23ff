"""Rejected transactions keep their bodies, each once, whatever they are."""

import json

import pytest

from schema import Reason
from tests.integration.workers.conftest import Local, a_while
from tests.integration.workers.test_warehouse import Cutting, cut_client
from tests.support.deliveries import decoded, delete, delivery, insert, number
from workers.decode import DecodedMessage, decode
from workers.sql import MAX_REQUEST_BYTES

LANE = 4


def kept(local: Local, name: str) -> list[tuple[str, bytes]]:
    """Return the ids and bodies of a test's rejected transactions."""
    rows = local.rows(
        "SELECT id, body, raw FROM gatekeeper_rejected WHERE STARTS_WITH(id, @name) ORDER BY id",
        name=name,
    )
    return [(row.id, row.raw if row.body is None else row.body.encode()) for row in rows]


def forged(name: str, *bodies: bytes) -> list[DecodedMessage]:
    return [decode(delivery(data, id=f"{name}-{i}")) for i, data in enumerate(bodies)]


async def test_a_rejection_keeps_the_body_with_what_a_person_asks_for(
    local: Local, name: str
) -> None:
    gone = decoded(insert(f"{name}_a", a=number(1)), delete(f"{name}_b", a=number(1)), id=name)
    await local.committer().settle(LANE, [gone, decoded(insert(name, a=number(1)))], a_while)

    (row,) = local.rows("SELECT * FROM gatekeeper_rejected WHERE id = @name", name=name)
    assert json.loads(row.body) == json.loads(gone.message.data)
    assert (row.reason, row.tables) == ("table_missing", f"{name}_a,{name}_b")
    assert (row.source, row.lane, row.worker) == ("a test", "lane-04", "a worker")
    assert (row.sha256, row.body_bytes) == (gone.message.sha256, len(gone.message.data))
    assert row.received_at < row.settled_at
    assert (row.raw, row.resolution, row.resolved_at) == (None, None, None)


async def test_bodies_that_are_no_transactions_are_kept_byte_for_byte(
    local: Local, name: str
) -> None:
    bodies = [b"", b"\xff\xfe", b"a\0b", b"no JSON", "\u20ac\x01\\\U0001f600\n".encode()]
    outcomes = await local.committer().settle(LANE, forged(name, *bodies), a_while)

    assert {each.rejection and each.rejection.reason for each in outcomes} == {
        Reason.INVALID_SCHEMA
    }
    assert kept(local, name) == [(f"{name}-{i}", data) for i, data in enumerate(bodies)]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_lost_answer_and_a_redelivery_leave_one_body(
    local: Local, name: str, method: str
) -> None:
    adapter = Cutting(method, 0)
    client = cut_client(local, adapter)
    committer = local.committer(client)
    await committer.settle(LANE, [decoded(insert(name, a=number(1)))], a_while)
    adapter.left = 2

    await committer.settle(LANE, forged(name, b"no JSON"), a_while)
    await committer.settle(LANE, forged(name, b"no JSON"), a_while)  # the same id and body
    await local.committer().settle(LANE, forged(name, b"no JSON"), a_while)

    assert adapter.dropped == 2
    assert kept(local, name) == [(f"{name}-0", b"no JSON")]
    client.close()


async def test_a_batch_of_rejected_bodies_is_cut_to_what_a_request_holds(
    local: Local, name: str
) -> None:
    bodies = [b'"' * (1_000_000 - i) for i in range(5)]  # four bytes each, as sent
    assert 4 * sum(map(len, bodies)) > MAX_REQUEST_BYTES

    await local.committer().settle(LANE, forged(name, *bodies), a_while)

    assert kept(local, name) == [(f"{name}-{i}", data) for i, data in enumerate(bodies)]
