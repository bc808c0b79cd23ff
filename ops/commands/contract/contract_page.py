"""`gatekeeper contract docs`: all contracts in force on one static HTML page.

The page is a tree of elements, which escapes every text and attribute: contracts are written by
others. Its policy allows its own script and style, and no other host.
"""

from collections import defaultdict
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final
from xml.etree.ElementTree import Element, tostring

from ops.commands.contract.contract_article import contract_article, counted, mark, node, table_id
from ops.runtime.inline_content import inline_hash, page_style
from schema.contracts import TableContract
from schema.contracts.stored_form import to_stored

_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def as_json(contracts: Sequence[TableContract]) -> dict[str, Any]:
    """Return the contracts with all their fields; of a webhook, only whether there is one."""
    return {"tables": [_public(each) for each in contracts]}


def as_page(contracts: Sequence[TableContract]) -> str:
    """Return the page. It has no time and no path, so equal contracts make equal pages."""
    frame = (resources.files("ops.commands.contract") / "contract_page.html").read_text("utf-8")
    frame = frame.replace("STYLE\n", page_style(), 1)
    policy = _POLICY.format(script=inline_hash(frame, "script"), style=inline_hash(frame, "style"))
    before, after = frame.replace("POLICY", policy, 1).split("CONTENT\n")
    content = (_header(contracts), _main(contracts))
    return before + "\n".join(tostring(each, "unicode", "html") for each in content) + after


def _public(contract: TableContract) -> dict[str, Any]:
    # A webhook's URL may hold a secret.
    return to_stored(contract) | {"notify": bool(contract.notify)}


def _header(contracts: Sequence[TableContract]) -> Element:
    teams = {each.team for each in contracts if each.team}
    counts = f"{counted(len(contracts), 'table')}, {counted(len(teams), 'team')}"
    return node("header", node("h1", "Contracts"), node("span", counts, {"class": "soft"}))


def _main(contracts: Sequence[TableContract]) -> Element:
    if not contracts:
        return node("main", node("p", "No contract is in force.", {"class": "card"}))
    return node("main", _filter(), _index(contracts), *map(contract_article, contracts))


def _filter() -> Element:
    attributes = {"id": "filter", "type": "search", "autocomplete": "off", "spellcheck": "false"}
    return node(
        "form",
        node("label", "Filter", {"for": "filter"}),
        node("input", attributes),
        node("span", {"id": "count", "class": "soft", "role": "status"}),
        {"class": "filter", "hidden": "hidden", "role": "search"},
    )


def _index(contracts: Sequence[TableContract]) -> Element:
    teams: defaultdict[str, list[TableContract]] = defaultdict(list)
    for each in contracts:
        teams[each.team].append(each)
    # Contracts without a team are last.
    ordered = sorted(teams.items(), key=lambda found: (not found[0], found[0].casefold()))
    sections = (
        node("section", node("h3", team or "No team"), node("ul", *map(_entry, found)))
        for team, found in ordered
    )
    return node("nav", *sections, {"class": "card index", "aria-label": "Tables by team"})


def _entry(contract: TableContract) -> Element:
    identity = table_id(contract)
    columns = counted(len(contract.columns), "column")
    return node(
        "li",
        node("a", node("code", contract.table), {"href": f"#{identity}"}),
        mark(contract.mode),
        node("span", f"{contract.version}, {columns}", {"class": "soft"}),
        {"data-table": identity},
    )
