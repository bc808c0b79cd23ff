"""Takes the README's pictures of the console: `python -m tests.support.screenshots`.

Starts a fleet in a temporary folder, sends it some minutes of load, and writes
docs/console-light.png, docs/console-dark.png and docs/console-phone.png.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from ops.fleet.config import ROOT
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.browser import Browser, BrowserPage
from tests.support.stream import delete, insert, transaction

SECONDS = 150.0


async def _customer(client: aiohttp.ClientSession) -> None:
    """Send mostly valid transactions, some that a server or a worker rejects, in waves."""
    number = 0
    while True:
        number += 1
        payload: Any = transaction(insert(random.choice(("orders", "invoices")), n=number))
        if number % 40 == 0:
            payload = {"activities": [{"operation": "upsert"}]}
        if number % 290 == 0:
            missing = random.choice(("refunds", "shipments_2019"))
            payload = transaction(delete(missing, n=number))
        if number % 530 == 0:
            payload = transaction(insert("orders", n="not a number"))
        async with client.post("/api/activities", json=payload) as answer:
            await answer.read()
        await asyncio.sleep(0.02 + 0.03 * (int(time.monotonic()) // 7 % 2))


@contextlib.asynccontextmanager
async def customers(client: aiohttp.ClientSession, number: int = 3) -> AsyncIterator[None]:
    """Send during the block."""
    tasks = [asyncio.create_task(_customer(client)) for _ in range(number)]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def console(
    fleet: DisposableFleet, width: int
) -> AsyncIterator[tuple[BrowserPage, aiohttp.ClientSession]]:
    """Open a fleet's console in a browser, and a client of the fleet."""
    url = f"http://{fleet.address}"
    # A connection for each request, so that every server gets some.
    client = aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(force_close=True))
    async with client, Browser() as browser, browser.page() as page:
        await page.open(f"{url}/", width=width)
        yield page, client


async def _pictures(fleet: DisposableFleet, docs: Path) -> None:
    async with console(fleet, 1200) as (page, client), customers(client):
        await asyncio.sleep(SECONDS)
        await find(page, fleet.post(transaction(delete("refunds", n=0)))[1]["id"])
        await page.run("document.activeElement.blur()")
        await _picture(page, "light", docs / "console-light.png", "#by-table-title")
        await _picture(page, "dark", docs / "console-dark.png", "#by-table-title")
        await page.resize(390, 844)
        await _picture(page, "light", docs / "console-phone.png", "#charts-title")


async def find(page: BrowserPage, id_: str) -> None:
    """Search a transaction as soon as the page lists it as rejected."""
    rows = "document.querySelector('#ledger-rows').innerText"
    await page.until(f"{rows}.includes('{id_}')", 120)
    await page.run(f"document.querySelector('#search-id').value = '{id_}'")
    await page.run("document.querySelector('#search').requestSubmit()")
    await page.until("document.querySelectorAll('.steps li').length >= 4", 60)


async def _picture(page: BrowserPage, scheme: str, file: Path, last: str) -> None:
    """Save the page down to the section with the title `last`."""
    await page.prefer(scheme)
    section = f"document.querySelector('{last}').closest('section')"
    most = await page.run(f"Math.ceil({section}.getBoundingClientRect().bottom + scrollY + 16)")
    await page.picture(file, most)
    print(file)  # noqa: T201  # a command's answer


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fleet = DisposableFleet(Path(folder), METRICS_PUSH_SECONDS="2")
        try:
            fleet.up()
            asyncio.run(_pictures(fleet, ROOT / "docs"))
        finally:
            fleet.end()


if __name__ == "__main__":
    main()
