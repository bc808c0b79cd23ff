"""A running server goes by the contracts of its folder, and takes their changes up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ops.runtime.api_keys import mint
from ops.runtime.settings import Settings
from schema.contracts import InvalidContracts
from server.app import create_app
from server.contracts import ViolationStore, violations_file
from tests.support.contracts import column, contract_text
from tests.support.deliveries import body, delete, insert, number, text, upsert
from tests.support.server_in_process import FakeTopic, InProcessServer, in_process_server

COLUMNS = (
    column("id", "INTEGER", primaryKey=True),
    column("item", required=True, logicalType="string", logicalTypeOptions={"maxLength": 4}),
)
GOOD = body(insert("orders", id=number(1), item=text("pear")))
TYPO = body(insert("orders", id=number(1), itme=text("pear"), item=text("pear")))
LONG = body(insert("orders", id=number(1), item=text("pears")))


def write(folder: Path, mode: str = "freeze", **fields: Any) -> None:
    folder.mkdir(exist_ok=True)
    whole = contract_text("orders", *COLUMNS, custom={"mode": mode}, **fields)
    (folder / "orders.yaml").write_text(whole)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1_200):
        if await condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("not in a minute")


async def refused(server: InProcessServer, sent: bytes = TYPO) -> bool:
    status, _ = await server.post(sent, "/api/activities/validate")
    return status == 400


async def test_a_typo_is_refused_by_name_and_nothing_is_published(tmp_path: Path) -> None:
    write(tmp_path / "c")
    topic = FakeTopic()
    async with in_process_server(topic, CONTRACTS_DIR=str(tmp_path / "c")) as server:
        status, verdict = await server.post(TYPO)
        assert (status, verdict["message"]) == (400, "Invalid Schema")
        assert verdict["error"] == [
            {
                "pointer": "/activities/0/col_names/1",
                "rule": "contract_column",
                "message": "no column `itme` in orders (contract orders 2.1.0, team shop); "
                "did you mean `item`?",
                "got": "itme",
            }
        ]
        assert topic.messages == []
        assert (await server.post(GOOD))[0] == 200
        assert len(topic.messages) == 1


async def test_every_route_gives_the_same_verdict(tmp_path: Path) -> None:
    write(tmp_path / "c")
    async with in_process_server(FakeTopic(), CONTRACTS_DIR=str(tmp_path / "c")) as server:
        _, posted = await server.post(LONG)
        _, validated = await server.post(LONG, "/api/activities/validate")
        assert validated == posted
        assert [each["rule"] for each in posted["error"]] == ["contract_max_length"]
        assert posted["error"][0]["got"] == "pears"
        async with server.client.post(
            f"{server.url}/api/activities/batch",
            data=LONG + b"\n" + GOOD,
            headers={"Content-Type": "application/x-ndjson"},
        ) as answer:
            batch = await answer.json()
        assert (batch["accepted"], batch["rejected"]) == (1, 1)
        assert batch["results"][0]["error"] == posted["error"]


async def test_an_upsert_may_leave_out_the_key_that_its_contract_has(tmp_path: Path) -> None:
    write(tmp_path / "c")
    topic = FakeTopic()
    good = body(upsert("orders", id=number(1), item=text("pear")))
    async with in_process_server(topic, CONTRACTS_DIR=str(tmp_path / "c")) as server:
        assert (await server.post(good, "/api/activities/validate"))[0] == 200
        assert (await server.post(good))[0] == 200
    assert [each.data for each in topic.messages] == [good]


async def test_an_upsert_that_gets_no_key_has_the_same_verdict_on_every_route(
    tmp_path: Path,
) -> None:
    write(tmp_path / "c", mode="evolve")
    topic = FakeTopic()
    bad = body(
        upsert("unknown", id=number(1)),
        upsert("orders", item=text("pear")),
        upsert("orders", id=number(None)),
    )
    async with in_process_server(topic, CONTRACTS_DIR=str(tmp_path / "c")) as server:
        status, posted = await server.post(bad)
        assert (status, posted["message"]) == (400, "Invalid Schema")
        assert [(each["pointer"], each["rule"]) for each in posted["error"]] == [
            ("/activities/0/key", "required"),
            ("/activities/1/key", "key"),
            ("/activities/2/col_values/0", "key"),
        ]
        _, validated = await server.post(bad, "/api/activities/validate")
        assert validated == posted
        async with server.client.post(
            f"{server.url}/api/activities/batch",
            data=bad,
            headers={"Content-Type": "application/x-ndjson"},
        ) as answer:
            batch = await answer.json()
        assert batch["results"][0]["error"] == posted["error"]
    assert topic.messages == []


async def test_a_large_body_is_checked_too(tmp_path: Path) -> None:
    write(tmp_path / "c")
    large = [insert("orders", id=number(i), item=text("pear")) for i in range(2_000)]
    async with in_process_server(FakeTopic(), CONTRACTS_DIR=str(tmp_path / "c")) as server:
        assert (await server.post(body(*large)))[0] == 200
        status, verdict = await server.post(body(*large, insert("orders", id=number(1))))
        assert status == 400
        assert verdict["error"][0]["pointer"] == "/activities/2000/col_names"
        assert verdict["error"][0]["got"] is None


async def test_a_changed_contract_is_taken_up_and_a_faulty_set_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    async with in_process_server(FakeTopic(), CONTRACTS_DIR=str(folder)) as server:
        assert not await refused(server)
        write(folder)
        await until(lambda: refused(server))

        (folder / "faulty.yaml").write_text("idd: x")

        async def is_degraded() -> bool:
            _, verdict = await server.get("/readyz")
            return "contracts" in verdict["degraded"]

        await until(is_degraded)
        status, verdict = await server.get("/readyz")
        assert status == 200
        assert "faulty.yaml:1: idd: the standard has no field" in verdict["degraded"]["contracts"]
        assert await refused(server)  # the old set stays in force

        (folder / "faulty.yaml").unlink()
        write(folder, mode="evolve")

        async def is_well() -> bool:
            return not await is_degraded() and not await refused(server)

        await until(is_well)


async def test_a_contract_that_reports_accepts_and_the_report_has_the_violation(
    tmp_path: Path,
) -> None:
    write(tmp_path / "c", mode="report")
    settings = {"CONTRACTS_DIR": str(tmp_path / "c"), "STATE_DIR": str(tmp_path / "state")}
    topic = FakeTopic()
    async with in_process_server(topic, **settings) as server:
        assert (await server.post(LONG))[0] == 200
        assert (await server.post(LONG, "/api/activities/validate"))[0] == 200  # not counted
    (count,) = ViolationStore(violations_file(Settings.parse(settings))).read(days=1)
    assert count.key == ("orders", "2.1.0", "shop", "orders", "item", "contract_max_length", False)
    assert (count.occurrences.count, count.occurrences.examples) == (1, ["pears"])
    assert len(topic.messages) == 1


async def test_a_table_without_a_contract_is_refused_where_the_setting_says_so(
    tmp_path: Path,
) -> None:
    write(tmp_path / "c")
    settings = {"CONTRACTS_DIR": str(tmp_path / "c"), "UNKNOWN_TABLES": "refuse"}
    async with in_process_server(FakeTopic(), **settings) as server:
        _, verdict = await server.post(body(delete("ordrs", id=number(1))))
        (fault,) = verdict["error"]
        assert (fault["pointer"], fault["rule"]) == ("/activities/0/table", "contract_table")
        assert fault["message"] == "no contract for the table `ordrs`; did you mean `orders`?"


async def test_a_key_learns_nothing_of_a_table_that_it_may_not_write(tmp_path: Path) -> None:
    write(tmp_path / "c")
    settings = {"CONTRACTS_DIR": str(tmp_path / "c"), "API_KEYS_FILE": str(tmp_path / "keys")}
    key, line = mint("billing", "2026-01-01T00:00:00+00:00", tables=("invoices",))
    (tmp_path / "keys").write_text(line.line())
    async with in_process_server(FakeTopic(), **settings) as server:
        status, verdict = await server.post(TYPO, Authorization=f"Bearer {key}")
        assert (status, [each["rule"] for each in verdict["error"]]) == (403, ["table"])
        assert "item" not in json.dumps(verdict["error"])


def test_a_server_does_not_start_with_faulty_contracts_and_none_to_go_by(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.yaml").write_text("idd: x")
    settings = {"CONTRACTS_DIR": str(tmp_path / "c"), "STATE_DIR": str(tmp_path / "state")}
    with pytest.raises(InvalidContracts, match="no field `idd`"):
        create_app(Settings.parse(settings))
