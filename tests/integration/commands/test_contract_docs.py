"""The page of `gatekeeper contract docs` in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ops.commands.contract.contract_page import as_page
from tests.support import browser
from tests.support.browser import Browser, BrowserPage
from tests.support.contracts import column, contract

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.ABSENT)

CONTRACTS = [
    contract(
        "orders", column("id", "INTEGER"), column("item", description="<script>marked = 1</script>")
    ),
    contract("payments", column("order_id", "INTEGER"), column("iban"), team={"name": "finance"}),
]
VISIBLE = "Array.from(document.querySelectorAll({!r})).filter(each => each.checkVisibility())"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs") / "contracts.html"
    made.write_text(as_page(CONTRACTS))
    return made


@pytest.fixture
async def page() -> AsyncIterator[BrowserPage]:
    async with Browser() as chromium, chromium.page() as opened:
        yield opened


async def visible(page: BrowserPage, selector: str) -> list[str]:
    found: list[str] = await page.run(f"{VISIBLE.format(selector)}.map(each => each.textContent)")
    return found


async def search(page: BrowserPage, words: str) -> None:
    await page.run("document.querySelector('#filter').select()")
    await page.run("document.querySelector('#filter').focus()")
    await page.type(words)


async def test_the_filter_leaves_the_tables_and_columns_that_have_all_words(
    page: BrowserPage, file: Path
) -> None:
    await page.open(file.as_uri())
    await search(page, "IBAN finance")
    assert await visible(page, "article h2") == ["payments"]
    assert await visible(page, "tbody .name") == ["iban"]
    assert await visible(page, ".index a") == ["payments"]
    assert await visible(page, ".index h3") == ["finance"]
    assert await page.text("#count") == "1 of 2 tables"
    await search(page, "orders")
    assert await visible(page, "tbody .name") == ["id", "item"]
    await search(page, "nowhere")
    assert await visible(page, "article h2") == []
    await search(page, " ")
    assert await visible(page, "article h2") == ["orders", "payments"]
    assert await page.text("#count") == ""
    assert not page.errors
    assert page.requested == [file.as_uri()], "nothing but the page"


async def test_a_script_in_a_description_is_text(page: BrowserPage, file: Path) -> None:
    await page.open(file.as_uri())
    assert await page.run("typeof marked") == "undefined"
    assert "<script>marked = 1</script>" in await page.text("#table-orders tbody")


async def test_the_pages_policy_refuses_a_script_that_is_not_its_own(
    page: BrowserPage, tmp_path: Path
) -> None:
    text = as_page(CONTRACTS).replace("&lt;", "<").replace("&gt;", ">")
    assert "<script>marked = 1</script>" in text
    (tmp_path / "page.html").write_text(text)
    await page.open((tmp_path / "page.html").as_uri())
    assert await page.run("typeof marked") == "undefined"
    assert "Content Security Policy" in "".join(page.errors)
    policy = text.index("<meta http-equiv"), text.index("<title>")
    (tmp_path / "without.html").write_text(text[: policy[0]] + text[policy[1] :])
    await page.open((tmp_path / "without.html").as_uri())
    assert await page.run("marked") == 1


async def test_without_scripts_everything_is_shown_but_the_filter(
    page: BrowserPage, file: Path
) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(file.as_uri())
    assert await visible(page, "article h2") == ["orders", "payments"]
    assert await visible(page, "form") == []


@pytest.mark.parametrize("width", [390, 1280])
async def test_nothing_is_wider_than_the_window(page: BrowserPage, file: Path, width: int) -> None:
    await page.open(file.as_uri(), width=width)
    assert await page.run("document.documentElement.scrollWidth") <= width
