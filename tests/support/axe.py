"""axe-core, which finds what hinders people with disabilities: https://github.com/dequelabs/axe-core."""

from importlib import resources
from typing import Any, Final

from tests.support.browser import BrowserPage

_SCRIPT: Final = (resources.files("axe_core_python") / "axe.min.js").read_text("utf-8")
_RUN: Final = "axe.run({resultTypes: ['violations']}).then(found => found.violations)"


async def violations(page: BrowserPage) -> list[str]:
    """Return what axe finds on the page as it looks now: a rule and the elements that break it."""
    await page.run(f"{_SCRIPT}; undefined")
    found: list[dict[str, Any]] = await page.run(_RUN)
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in found
    ]
