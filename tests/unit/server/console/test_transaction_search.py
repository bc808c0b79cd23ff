import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from ops.rig import eventually
from ops.runtime.settings import Settings
from server.api import LEDGER
from server.console.transaction_search import MAX_WAITING, PARALLEL, TransactionSearch
from server.http import Refusal


class WaitingLedger:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def rows(self, *_: object) -> Sequence[Any]:
        self.asked += 1
        await self.go.wait()
        return []


class EmptyReader:
    def of_id(self, _: str) -> Sequence[Any]:
        raise LookupError("no such table")


def search_of(folder: Path) -> TransactionSearch:
    settings = Settings.parse({"STATE_DIR": str(folder)})
    reader: Any = EmptyReader()
    return TransactionSearch(settings, reader)


async def test_few_searches_run_a_few_wait_and_further_ones_are_refused(tmp_path: Path) -> None:
    app = web.Application()
    ledger: Any = WaitingLedger()
    app[LEDGER] = ledger
    request = make_mocked_request("GET", "/console/transactions/a", match_info={"id": "a"}, app=app)
    search = search_of(tmp_path)
    allowed = (PARALLEL + MAX_WAITING) // 2  # half: they are all of one client
    running = [asyncio.create_task(search.answer(request)) for _ in range(allowed)]
    async with asyncio.timeout(60):
        await eventually(lambda: ledger.asked == PARALLEL)
        with pytest.raises(Refusal, match="Unavailable"):
            await search.answer(request)
        assert ledger.asked == PARALLEL
        ledger.go.set()
        answers = await asyncio.gather(*running)
    search.close()
    assert ledger.asked == allowed
    for each in answers:
        assert isinstance(each, web.Response)
        path = json.loads(cast("bytes", each.body))
        assert path["steps"][-1]["text"] == "Not known: no such table."
