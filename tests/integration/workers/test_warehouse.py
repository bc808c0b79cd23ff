"""The commit against the embedded warehouse: types, statements, redeliveries, lost answers."""

import asyncio
import json
from typing import Any

import pytest
import requests
from google.cloud import bigquery

from ops.rig import wait_until
from ops.runtime import clients
from ops.runtime.warehouse_errors import OutcomeUnknown, WarehouseUnavailable
from ops.trial import readback
from schema import Reason, parse_type
from tests.integration.workers.conftest import Local, a_while
from tests.support.deliveries import decoded, delete, insert, number, text
from workers.decode import DecodedMessage

LANE = 3
SINCE = "2026-01-01 00:00:00+00:00"
HOSTILE = [
    "",
    " ",
    "null",
    "'; DROP TABLE x; --",
    '"\\"\\\\`',
    "line\nbreak\ttab\r",
    "\0",
    "@ids @d0 @i0 $[0] {r}",
    "é \U0001f600 \u202e \ufeff \uffff",
    "x" * 100_000,
]
EVERY_TYPE: dict[str, tuple[str, list[Any]]] = {
    "a_string": ("TEXT", HOSTILE),
    "an_int": ("BIGINT", [0, -1, 2**63 - 1, -(2**63)]),
    "a_float": ("DOUBLE", [0.0, 0.1, 5e-324, 1.7976931348623157e308, -2.5]),
    "a_bool": ("BOOLEAN", [True, False]),
    "a_numeric": ("DECIMAL(10,2)", ["0", "99999999.99", "-0.01"]),
    "a_plain": ("NUMERIC", ["12345678901234567890.123456789"]),
    "a_big": ("DECIMAL(38,20)", ["123456789012345678.12345678901234567891"]),
    "a_date": ("DATE", ["0001-01-01", "9999-12-31", "2024-02-29"]),
    "a_time": ("TIME", ["00:00", "23:59:59.999999"]),
    "a_datetime": ("DATETIME", ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"]),
    "a_timestamp": ("TIMESTAMPTZ", ["0001-01-01 00:00:00Z", "2018-03-27T11:58:28.988414+02:00"]),
    "a_json": ("JSONB", [{"b": [1, None, 0.1], "a": "'\"\\\n"}, [], "", True]),
    "a_bytes": ("BYTEA", ["", "AAEC/w=="]),
}


def _ledger(local: Local, ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in local.rows(
        "SELECT id, state, reason FROM gatekeeper_ledger "
        "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids)) ORDER BY settled_at",
        ids=json.dumps(ids),
    ):
        found.setdefault(row.id, []).append(row.reason or row.state)
    return found


def _values(local: Local, table: str, column: str = "a") -> list[Any]:
    return [row[0] for row in local.rows(f"SELECT {column} FROM {table} ORDER BY 1")]


async def _reasons(local: Local, entries: list[DecodedMessage]) -> list[Reason | None]:
    outcomes = await local.committer().settle(LANE, entries, a_while)
    return [outcome.rejection.reason if outcome.rejection else None for outcome in outcomes]


async def test_every_type_is_written_read_back_and_matched_by_a_delete(
    local: Local, name: str
) -> None:
    rows = [
        insert(name, key=number(index), **{column: (kind, value)})
        for column, (kind, values) in EVERY_TYPE.items()
        for index, value in enumerate([*values, None])
    ]
    assert await _reasons(local, [decoded(*rows)]) == [None]

    columns = {column: parse_type(kind) for column, (kind, _) in EVERY_TYPE.items()}
    columns["key"] = parse_type("INTEGER")
    path = f"{local.settings.dataset_path}.{name}"
    types = readback.types_of(local.client, path)
    assert types == {column: declared.bigquery for column, declared in columns.items()}
    stored = readback.counted(local.client, path, columns)
    order = sorted(columns)
    for column, (kind, values) in EVERY_TYPE.items():
        for index, value in enumerate([*values, None]):
            row: dict[str, str | None] = {"key": str(index)}
            row[column] = None if value is None else parse_type(kind).canonicalise(value)
            assert stored[tuple(row.get(each) for each in order)] > 0, (column, value)

    keys = [
        delete(name, key=number(index), **{column: (kind, value)})
        for column, (kind, values) in EVERY_TYPE.items()
        for index, value in enumerate(values)
    ]
    assert await _reasons(local, [decoded(*keys)]) == [None]
    left = local.rows(f"SELECT * FROM {name}")
    assert len(left) == len(EVERY_TYPE)  # the NULLs
    assert all(value is None for row in left for key, value in row.items() if key != "key")

    nulls = {column: (kind, None) for column, (kind, _) in EVERY_TYPE.items()}
    assert await _reasons(local, [decoded(delete(name, **nulls))]) == [None]
    assert local.rows(f"SELECT * FROM {name}") == []


async def test_a_thousand_deletes_and_inserts_on_a_table_are_one_data_statement(
    local: Local, name: str
) -> None:
    await _reasons(
        local, [decoded(*(insert(name, a=number(i), b=text("old")) for i in range(1000)))]
    )
    entries = [
        decoded(delete(name, a=number(i)), insert(name, a=number(i), b=text("new")))
        for i in range(1000)
    ]
    before = {job.job_id for job in local.client.list_jobs()}

    assert await _reasons(local, entries) == [None] * 1000

    scripts = [
        job
        for job in local.client.list_jobs()
        if job.job_id not in before and job.statement_type == "SCRIPT"
    ]
    assert len(scripts) == 1
    children = [job.statement_type for job in local.client.list_jobs(parent_job=scripts[0])]
    assert children.count("MERGE") == 1
    assert children.count("INSERT") == 1  # the ledger's
    assert [tuple(row) for row in local.rows(f"SELECT b, COUNT(*) FROM {name} GROUP BY b")] == [
        ("new", 1000)
    ]


async def test_a_delete_on_a_missing_table_rejects_the_whole_transaction_and_no_other(
    local: Local, name: str
) -> None:
    entries = [
        decoded(insert(f"{name}_good", a=number(1))),
        decoded(insert(f"{name}_new", a=number(1)), delete(f"{name}_gone", a=number(1))),
        decoded(insert(f"{name}_good", a=number(2))),
    ]

    assert await _reasons(local, entries) == [None, Reason.TABLE_MISSING, None]

    assert local.tables(name) == {f"{name}_good"}
    assert _values(local, f"{name}_good") == [1, 2]
    assert [*_ledger(local, [each.message.id for each in entries]).values()].count(
        ["table_missing"]
    ) == 1


async def test_a_redelivery_changes_nothing_and_another_body_is_a_conflict(
    local: Local, name: str
) -> None:
    first = decoded(insert(name, a=number(1)), id=name)
    other = decoded(insert(name, a=number(2)), id=name)

    assert await _reasons(local, [first]) == [None]
    assert await _reasons(local, [first]) == [None]
    assert await _reasons(local, [other, first]) == [Reason.IDEMPOTENCY_CONFLICT, None]
    assert await _reasons(local, [other]) == [Reason.IDEMPOTENCY_CONFLICT]

    assert _values(local, name) == [1]
    assert _ledger(local, [name]) == {name: ["applied", "idempotency_conflict"]}


async def test_two_workers_on_one_table_apply_everything_once(local: Local, name: str) -> None:
    await _reasons(local, [decoded(insert(name, a=number(0)))])

    def batches(first: int) -> list[list[DecodedMessage]]:
        return [
            [decoded(delete(name, a=number(n)), insert(name, a=number(n))) for n in (i, i + 100)]
            for i in range(first, first + 5)
        ]

    async def work(worker: str, first: int) -> None:
        committer = local.committer(worker=worker)
        for part in batches(first):
            outcomes = await committer.settle(LANE, part, a_while)
            assert [each.rejection for each in outcomes] == [None] * len(part)

    await asyncio.gather(work("one", 1), work("two", 11))

    numbers = [*range(1, 6), *range(11, 16)]
    assert _values(local, name) == sorted([0, *numbers, *(n + 100 for n in numbers)])


class Cutting(requests.adapters.HTTPAdapter):
    """Lets requests through and drops some answers, once the server has done its part."""

    def __init__(self, method: str, times: int) -> None:
        super().__init__()
        self._method, self.left, self.dropped = method, times, 0

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **how)
        if request.method == self._method and self.left:
            self.left -= 1
            self.dropped += 1
            response.close()
            raise requests.exceptions.ConnectionError("the answer was cut off")
        return response


def cut_client(local: Local, adapter: Cutting) -> bigquery.Client:
    client = clients.warehouse(local.settings)
    client._http.mount("http://", adapter)
    return client


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_lost_answer_is_asked_for_and_never_a_second_run(
    local: Local, name: str, method: str
) -> None:
    await _reasons(local, [decoded(insert(name, a=number(1)))])
    adapter = Cutting(method, 0)
    client = cut_client(local, adapter)
    # The next commit looks no table up, so that the answers to its job are the ones that are cut.
    committer = local.committer(client, catalog_seconds=600)
    await committer.settle(LANE, [decoded(insert(name, a=number(2)))], a_while)
    before = len(list(local.client.list_jobs()))
    adapter.left = 2

    outcomes = await committer.settle(LANE, [decoded(insert(name, a=number(3)))], a_while)

    assert [each.rejection for each in outcomes] == [None]
    assert adapter.dropped == 2
    assert _values(local, name) == [1, 2, 3]
    assert len(list(local.client.list_jobs())) > before
    client.close()


async def test_a_table_is_looked_up_once_and_its_caller_decides_whether_again(
    local: Local, name: str
) -> None:
    adapter = Cutting("GET", 2)
    client = cut_client(local, adapter)
    with pytest.raises(WarehouseUnavailable):
        await local.warehouse(client).schema(name)
    assert adapter.dropped == 1
    client.close()


async def test_a_commit_is_one_job_under_an_id_of_ours(local: Local, name: str) -> None:
    committer = local.committer()
    await committer.settle(LANE, [decoded(insert(name, a=number(1)))], a_while)
    before = {job.job_id for job in local.client.list_jobs()}

    await committer.settle(LANE, [decoded(insert(name, a=number(2)))], a_while)

    mine = [
        job
        for job in local.client.list_jobs()
        if job.job_id not in before and not job.parent_job_id
    ]
    assert [job.job_id.startswith("gatekeeper-") for job in mine] == [True]


async def test_a_table_that_vanished_under_a_worker_is_made_again(local: Local, name: str) -> None:
    committer = local.committer()
    await committer.settle(LANE, [decoded(insert(name, a=number(1)))], a_while)
    local.rows(f"DROP TABLE {name}")

    outcomes = await committer.settle(LANE, [decoded(insert(name, a=number(2)))], a_while)

    assert [each.rejection for each in outcomes] == [None]
    assert _values(local, name) == [2]


async def test_what_the_warehouse_itself_refuses_is_found_and_leaves_no_row(
    local: Local, name: str
) -> None:
    local.rows(f"CREATE TABLE {name}_strict (a INT64 NOT NULL, b STRING)")
    entries = [
        decoded(insert(f"{name}_a", a=number(1))),
        decoded(
            insert(f"{name}_a", a=number(1), new=number(1)),
            insert(f"{name}_b", a=number(1)),
            insert(f"{name}_strict", b=text("no a")),
        ),
        decoded(insert(f"{name}_a", a=number(2))),
    ]

    assert await _reasons(local, entries) == [None, Reason.WAREHOUSE_REJECTED, None]

    assert _values(local, f"{name}_a") == [1, 2]
    assert _values(local, f"{name}_b") == []  # left behind, for the next transaction that wants it


async def test_a_job_does_not_start_when_no_time_is_left(local: Local) -> None:
    before = len(list(local.client.list_jobs()))
    with pytest.raises(WarehouseUnavailable):
        await local.warehouse().read_lane(LANE, ["x"], SINCE, lambda: 0.0)
    assert len(list(local.client.list_jobs())) == before


async def test_kill_9_in_the_middle_leaves_exactly_one_effect(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    local = Local(tmp_path_factory.mktemp("killed"))
    with local.service:
        local.wait()
        local.provision()
        committer = local.committer()
        await committer.settle(LANE, [decoded(insert(name, a=number(0)))], a_while)
        done = 0

        async def work() -> None:
            nonlocal done
            for i in range(1, 7):
                part = [decoded(delete(name, a=number(i)), insert(name, a=number(i)))]
                while True:
                    try:
                        outcomes = await committer.settle(LANE, part, a_while)
                    except (WarehouseUnavailable, OutcomeUnknown):
                        continue
                    assert [each.rejection for each in outcomes] == [None]
                    break
                done = i

        working = asyncio.create_task(work())
        for settled in (1, 3):
            await asyncio.to_thread(wait_until, lambda n=settled: done >= n, 60)
            local.service.kill()
            local.service.start()
            await asyncio.to_thread(local.wait)
        await asyncio.wait_for(working, 90)

        assert _values(local, name) == list(range(7))
        assert local.rows("SELECT COUNT(*) FROM gatekeeper_ledger")[0][0] == 7
        local.client.close()
