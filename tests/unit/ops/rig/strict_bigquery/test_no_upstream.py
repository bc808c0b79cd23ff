import pytest

from ops.rig.strict_bigquery.billed_bytes import Partitioning
from ops.rig.strict_bigquery.no_upstream import NoUpstream
from ops.rig.strict_bigquery.parsed_script import parse
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused

HEAD = "p.d.gatekeeper_lane_03"
COMMIT = (
    f"BEGIN TRANSACTION; UPDATE {HEAD} SET epoch = epoch + 1 WHERE epoch = CAST(@epoch AS INT64); "
    "ASSERT @@row_count = 1 AS 'fenced'; COMMIT TRANSACTION"
)


async def run(none: NoUpstream, sql: str, epoch: int | None = None) -> QueryJob:
    given = [{"name": "epoch", "parameterValue": {"value": str(epoch)}}]
    query = {"query": sql, "queryParameters": given if epoch is not None else []}
    job = QueryJob("p", "j", "US", {"query": query}, 0.0)
    await none.run(job, parse(sql, "p.d"))
    return job


async def test_a_commit_moves_the_lane_s_epoch_and_one_with_an_old_epoch_is_fenced() -> None:
    none = NoUpstream(lanes=8)
    await run(none, COMMIT, 0)
    await run(none, COMMIT, 1)
    with pytest.raises(Refused, match="fenced"):
        await run(none, COMMIT, 1)


async def test_a_query_of_a_head_returns_its_row() -> None:
    none = NoUpstream(lanes=8)
    await run(none, COMMIT, 0)
    sql = f"SELECT h.epoch, h.lanes, l.id FROM {HEAD} AS h LEFT JOIN x AS l ON TRUE"
    found = none.results(await run(none, sql))
    assert found["rows"] == [{"f": [{"v": "1"}, {"v": "8"}, {"v": None}]}]
    assert [field["type"] for field in found["schema"]["fields"]] == [
        "INTEGER",
        "INTEGER",
        "STRING",
    ]


async def test_any_other_query_returns_nothing() -> None:
    none = NoUpstream(lanes=8)
    assert none.results(await run(none, "SELECT 1")) == {}


async def test_every_table_exists() -> None:
    none = NoUpstream(lanes=8)
    load = await none.shape("p.d.load_orders")
    assert load is not None
    assert load.columns["amount"] == "NUMERIC"
    ledger = await none.shape("p.d.gatekeeper_ledger_03")
    assert ledger is not None
    assert ledger.partitioning is not None
    path = "/bigquery/v2/projects/p/datasets/d"
    table, dataset = none.resource(f"{path}/tables/t"), none.resource(path)
    assert table is not None
    assert dataset is not None
    assert none.resource("/bigquery/v2/projects/p/elsewhere") is None


async def test_a_lane_that_was_not_provisioned_has_no_head() -> None:
    path = "/bigquery/v2/projects/p/datasets/d/tables/"
    none = NoUpstream(lanes=8)
    assert none.resource(f"{path}gatekeeper_lane_07") is not None
    assert none.resource(f"{path}gatekeeper_lane_08") is None


async def test_large_tables_are_partitioned_by_the_day_of_their_time_and_heads_are_not() -> None:
    none = NoUpstream(lanes=8, partitioned=True)
    load, head = await none.shape("p.d.load_orders"), await none.shape(HEAD)
    assert load is not None
    assert load.partitioning == Partitioning("updated_at")
    assert head is not None
    assert head.partitioning is None
    table = none.resource("/bigquery/v2/projects/p/datasets/d/tables/load_orders")
    assert table is not None
    assert table["timePartitioning"] == {"type": "DAY", "field": "updated_at"}
