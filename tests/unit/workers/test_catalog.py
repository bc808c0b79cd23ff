import pytest

from schema import Reason
from tests.support.deliveries import decoded, delete, insert, number, text
from tests.support.fake_clock import FakeClock
from tests.support.fake_warehouse import FakeWarehouse
from workers.catalog import CatalogCache
from workers.change_sql import TableLayout
from workers.table_columns import Column


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse(catalog={"t": {"a": Column("a", "INT64")}})


@pytest.fixture
def catalog(warehouse: FakeWarehouse, clock: FakeClock) -> CatalogCache:
    return CatalogCache(warehouse, max_age=1.0, clock=clock)


INSERT = [decoded(insert("t", a=number(1)))]


async def test_a_schema_is_trusted_for_a_while_and_then_looked_up_again(
    catalog: CatalogCache, warehouse: FakeWarehouse, clock: FakeClock
) -> None:
    await catalog.plan(INSERT)
    await catalog.plan(INSERT)
    assert warehouse.looked_at == ["t"]
    clock.now += 1.5
    warehouse.catalog["t"]["a"] = Column("a", "STRING")
    planned = await catalog.plan(INSERT)
    assert [rejection.reason for _, rejection in planned.rejected] == [Reason.TYPE_CONFLICT]


async def test_a_rejection_is_looked_up_however_young_the_schema_is(
    catalog: CatalogCache, warehouse: FakeWarehouse
) -> None:
    await catalog.plan(INSERT)
    warehouse.catalog["t"]["b"] = Column("b", "STRING")
    planned = await catalog.plan([decoded(delete("t", b=text("x")))])
    assert planned.rejected == []


async def test_that_a_table_is_missing_is_never_remembered(
    catalog: CatalogCache, warehouse: FakeWarehouse
) -> None:
    planned = await catalog.plan([decoded(insert("u", a=number(1)))])
    assert list(planned.creates) == ["u"]
    warehouse.catalog["u"] = {"b": Column("b", "INT64")}
    planned = await catalog.plan([decoded(insert("u", a=number(1)))])
    assert [name for name, _ in planned.adds["u"]] == ["a"]


async def test_a_refresh_returns_whether_anything_has_changed(
    catalog: CatalogCache, warehouse: FakeWarehouse
) -> None:
    await catalog.plan(INSERT)
    assert not await catalog.refresh(["t"])
    warehouse.defaults["t"] = {"a": "7"}
    assert await catalog.refresh(["t"])
    assert catalog.layouts(["t", "u"]) == {"t": TableLayout({"a": "7"})}
    del warehouse.catalog["t"]
    assert await catalog.refresh(["t"])
