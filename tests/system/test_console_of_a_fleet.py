import asyncio
import importlib.metadata
import json
import os
import signal
from collections.abc import AsyncIterator

import pytest

from ops.rig.disposable_fleet import DisposableFleet
from tests.support import browser
from tests.support.axe import violations
from tests.support.browser import Browser, BrowserPage
from tests.support.stream import delete, insert, transaction

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.ABSENT)

HOSTILE = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"


@pytest.fixture
async def page(fleet: DisposableFleet) -> AsyncIterator[BrowserPage]:
    """The console, with its first numbers, in its own browser."""
    async with Browser() as chromium, chromium.page() as page:
        await page.open(f"http://{fleet.address}/")
        await page.until("document.querySelector('#live').textContent.startsWith('live')")
        yield page
        assert page.errors == []
        hosts = {url.split("/")[2] for url in page.requested if url.startswith("http")}
        assert hosts == {fleet.address}, "the page asked another host"


def number(selector: str) -> str:
    """Return a script for the first number in an element."""
    text = f"document.querySelector('{selector}').textContent.replaceAll(',', '')"
    return f"parseInt(({text}.match(/\\d+/) || ['-1'])[0])"


async def test_the_numbers_move_after_a_post(fleet: DisposableFleet, page: BrowserPage) -> None:
    await page.until(f"{number('#accepted .more')} >= 0")
    await page.until(f"{number('#applied .more')} >= 0")
    accepted = await page.run(number("#accepted .more"))
    applied = await page.run(number("#applied .more"))
    rejected = await page.run(number("#rejected .more"))
    for each in range(5):
        assert fleet.post(transaction(insert("console", n=each)))[0] == 200
    assert fleet.post({"activities": []})[0] == 400
    await page.until(f"{number('#accepted .more')} >= {accepted + 5}")
    await page.until(f"{number('#rejected .more')} >= {rejected + 1}")
    await page.until(f"{number('#applied .more')} >= {applied + 5}", 40)
    await page.until("document.querySelector('#end-to-end .value').textContent.includes('s')")
    assert "p99" in await page.text("#end-to-end .more")


async def test_every_process_is_shown_with_its_state_and_its_push(
    fleet: DisposableFleet, page: BrowserPage
) -> None:
    await page.until("document.querySelectorAll('#processes tr').length >= 8")
    machine = fleet.settings.instance
    names = [f"{machine}:{name}" for name in ("server_00", "server_01", "worker_00", "worker_01")]
    for name in names:
        state = (
            f"document.querySelector('#processes tr[data-key=\"{name}\"]').children[1].textContent"
        )
        await page.until(f"{state}.startsWith('running')", 30)
    rows: dict[str, list[str]] = await page.run(
        "Object.fromEntries([...document.querySelectorAll('#processes tr')]"
        ".map(row => [row.dataset.key, [...row.children].map(cell => cell.textContent)]))"
    )
    assert set(rows) >= {f"{machine}:{state.name}" for state in fleet.states()}
    assert all(rows[name][5].endswith("ago") for name in names)
    assert rows[f"{machine}:provision"][1] == "done"


async def test_a_killed_worker_is_shown(fleet: DisposableFleet, page: BrowserPage) -> None:
    await page.until("document.querySelectorAll('#processes tr').length >= 8")
    (pid,) = (each.pid for each in fleet.states("worker") if each.name == "worker_00")
    os.kill(pid, signal.SIGKILL)
    name = f"{fleet.settings.instance}:worker_00"
    row = f"document.querySelector('#processes tr[data-key=\"{name}\"]')"
    await page.until(f"{row}.children[1].textContent.includes('restarted')", 30)
    assert await page.text("#news") == f"{name} was restarted"
    await page.until(f"{row}.children[1].textContent.startsWith('running, restarted')", 30)


async def test_a_hostile_text_is_shown_as_text_and_does_not_run(
    fleet: DisposableFleet, page: BrowserPage
) -> None:
    quoted = HOSTILE.replace("'", "\\'")
    fleet.query(
        "INSERT INTO gatekeeper_rejected_00 "
        "(id, reason, error, source, tables, lane, sha256, body_bytes, settled_at) "
        f"VALUES ('{quoted}', '{quoted}', '{quoted}', '{quoted}', '{quoted}', 'lane-00', 'x', 1, "
        "CURRENT_TIMESTAMP())"
    )
    # The ledger is read again when a worker says that it rejected something.
    assert fleet.post(transaction(delete("console_no_such_table", n=1)))[0] == 200
    shown = "document.querySelector('#ledger-rows').innerText"
    await page.until(f"{shown}.includes('<img src=x')", 60)
    await page.until(f"{shown}.includes('table_missing')", 60)

    await page.run("document.querySelector('#payload').focus()")
    await page.run("document.querySelector('#payload').select()")
    await page.type(json.dumps({"activities": [{"operation": HOSTILE, HOSTILE: 1}]}))
    await page.run("document.querySelector('#validate').click()")
    await page.until("document.querySelector('#verdict').innerText.includes('<img src=x')")
    assert await page.run("document.title") == "Gatekeeper"
    assert await page.run("document.querySelectorAll('img').length") == 0
    assert await page.run("document.querySelectorAll('script').length") == 1


async def test_a_transaction_is_found_by_its_id(fleet: DisposableFleet, page: BrowserPage) -> None:
    status, verdict = fleet.post(transaction(delete("console_no_such_table", n=2)))
    assert status == 200
    found = "document.querySelector('#found').innerText"
    await page.run("document.querySelector('#search-id').focus()")
    await page.type(verdict["id"])
    async with asyncio.timeout(60):
        while "table_missing" not in await page.run(found):
            await page.press("Enter")
            await page.until(f"{found} && !{found}.includes('searching')")
    said = await page.text("#found")
    assert "Accepted at " in said
    assert "Tables: console_no_such_table. It is open" in said


async def test_a_rejected_one_is_discarded_and_another_replayed_by_keyboard(
    fleet: DisposableFleet, page: BrowserPage
) -> None:
    focus = "document.activeElement.id"
    for action, verb in (("discard", "Discard"), ("replay", "Replay")):
        status, verdict = fleet.post(transaction(delete(f"console_{action}", n=1)))
        assert status == 200
        button = f"document.querySelector('[aria-label=\"{verb} transaction {verdict['id']}\"]')"
        await page.until(f"{button} !== null", 120)
        await page.run(f"{button}.focus()")
        await page.press("Enter")
        await page.until("document.querySelector('#confirm').open")
        assert await page.run(focus) == "confirm-no"
        asked = await page.text("#confirm")
        for word in (verdict["id"], "table_missing", f"console_{action}", verb):
            assert word in asked
        await page.press("Escape")
        await page.until("!document.querySelector('#confirm').open")
        assert await page.run(f"document.activeElement === {button}")
        if action == "replay":  # the cause is repaired
            assert fleet.post(transaction(insert("console_replay", n=2)))[0] == 200
        await page.press("Enter")
        await page.until("document.querySelector('#confirm').open")
        # Open again before the event of its closing has come.
        await page.run(f"document.querySelector('#confirm').close(); {button}.click()")
        await page.run("document.querySelector('#confirm-yes').focus()")
        await page.press("Enter")
        await page.until(f"document.querySelector('#done').innerText.includes('{action}')", 60)
        said = await page.text("#done")
        assert said.startswith(f"{verdict['id']}: {action}ed"), said
        await page.until(f"{button} === null", 60)
        state = await page.run(f"fetch('console/transactions/{verdict['id']}').then(a => a.text())")
        assert f"It was {action}ed at" in state
    listed = fleet.gatekeeper("deadletter", "list", "--json", "--where", "table=console_discard")
    assert json.loads(listed.stdout)["newest"] == []


async def test_what_the_processes_push_is_shown(fleet: DisposableFleet, page: BrowserPage) -> None:
    await page.until("document.querySelectorAll('#machines-rows tr').length === 1", 60)
    machine = await page.text("#machines")
    assert fleet.settings.instance in machine
    assert importlib.metadata.version("gatekeeper") in machine
    rows = "document.querySelector('#by-table-rows').innerText"
    async with asyncio.timeout(60):
        while "console_rates" not in await page.run(rows):
            assert fleet.post(transaction(insert("console_rates", n=1)))[0] == 200
    await page.until(
        "document.querySelector('#charts figure svg[role=img] .line-0').hasAttribute('d')", 60
    )
    label = "document.querySelector('#charts svg[role=img]').getAttribute('aria-label')"
    await page.until(f"{label}.includes('the last 15 minutes')")
    await page.run("document.querySelector('#range-21600').click()")
    assert "the last 6 hours" in await page.run(label)


async def test_a_script_in_the_markup_would_be_refused(page: BrowserPage) -> None:
    added = "(() => {const made = document.createElement('script');"
    added += "made.text = \"document.title = 'ran'\"; document.body.append(made)})()"
    with pytest.raises(AssertionError, match="TrustedScript"):
        await page.run(added)
    assert await page.run("document.title") == "Gatekeeper"
    page.errors.clear()


async def test_the_form_works_by_keyboard_alone(page: BrowserPage) -> None:
    focus = "document.activeElement.id || document.activeElement.className"
    await page.press("Tab")
    assert await page.run(focus) == "skip"
    await page.press("Enter")
    await page.until("document.activeElement.id === 'payload'")
    await page.run("document.activeElement.select()")
    await page.type('{"activities": [{"operation": "insert", "table": "9 lives"}]}')
    await page.press("Enter", control=True)
    await page.until("document.querySelectorAll('#verdict li').length >= 4")
    said = await page.text("#verdict")
    assert "400 Invalid Schema" in said
    assert "/activities/0/table" in said

    await page.run("document.activeElement.select()")
    await page.type('{"activities": [')
    await page.press("Tab")
    assert await page.run(focus) == "validate"
    assert await page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.press("Enter")
    await page.until("document.querySelector('#verdict').innerText.includes('Invalid JSON')")

    await page.run("document.querySelector('#payload').focus()")
    await page.run("document.activeElement.select()")
    await page.type(
        '{"activities": [{"operation": "insert", "table": "console_form", "col_names": ["n"], '
        '"col_types": ["INTEGER"], "col_values": [1]}]}'
    )
    await page.press("Tab")
    await page.press("Enter")
    await page.until("document.querySelector('#verdict').innerText.includes('Nothing was')")
    await page.press("Tab")
    assert await page.run(focus) == "send"
    await page.press("Enter")
    await page.until("document.querySelector('#verdict').innerText.includes('Pub/Sub has it')")
    await page.until("document.querySelector('#verdict').innerText.includes('Applied.')", 40)
    assert await page.run("document.querySelector('#verdict').getAttribute('aria-live')")


@pytest.fixture
async def full_page(fleet: DisposableFleet, page: BrowserPage) -> BrowserPage:
    """The page with something in each part: a found transaction, rejections, charts, tables."""
    status, verdict = fleet.post(transaction(delete("console_absent", n=1)))
    assert status == 200
    assert fleet.post(transaction(insert("console", n=1)))[0] == 200
    await page.until("document.querySelectorAll('#processes tr').length >= 8")
    rows = "document.querySelector('#ledger-rows').innerText"
    await page.until(f"{rows}.includes('{verdict['id']}')", 120)
    await page.run(f"document.querySelector('#search-id').value = '{verdict['id']}'")
    await page.run("document.querySelector('#search').requestSubmit()")
    await page.until("document.querySelectorAll('.steps li').length >= 4", 60)
    await page.until("document.querySelector('#charts svg[role=img] path.line-0') !== null", 60)
    return page


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
async def test_at_every_width_nothing_scrolls_sideways_and_axe_finds_nothing(
    full_page: BrowserPage, width: int
) -> None:
    await full_page.resize(width, 900)
    await full_page.until(f"innerWidth === {width}")
    assert await full_page.run("document.documentElement.scrollWidth") <= width
    for scheme in ("light", "dark"):
        await full_page.prefer(scheme)
        assert await violations(full_page) == []
    button = "document.querySelector('#ledger-rows button')"
    await full_page.run(f"{button}.click()")
    await full_page.until("document.querySelector('#confirm').open")
    assert await full_page.run("document.documentElement.scrollWidth") <= width
    assert await violations(full_page) == []


async def test_axe_finds_what_is_wrong(page: BrowserPage) -> None:
    await page.run("document.querySelector('label[for=search-id]').remove()")
    (found,) = await violations(page)
    assert found.startswith("label:")


async def test_a_hidden_page_asks_for_nothing(page: BrowserPage) -> None:
    await page.run(
        "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    await page.until("document.querySelector('#live').textContent === 'paused'")
    asked = len(page.requested)
    # Longer than the two seconds between two requests.
    await page.run("new Promise(done => setTimeout(done, 2500))")
    assert len(page.requested) == asked
    await page.run("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    await page.until("document.querySelector('#live').textContent.startsWith('live')")
    assert len(page.requested) > asked
