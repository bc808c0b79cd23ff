"""A table's contract as an article of the page that `gatekeeper contract docs` makes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from schema.contracts import ContractColumn, Mode, TableContract, Transform, ValueRule, value_rules

_MODES: Mapping[Mode, str] = {
    Mode.EVOLVE: "a new column is added",
    Mode.REPORT: "what breaks the contract is accepted and listed",
    Mode.FREEZE: "what breaks the contract is refused",
}
_TRANSFORMS: Mapping[Transform, str] = {
    Transform.HASH: "hashed",
    Transform.LAST4: "cut to its last four characters",
    Transform.DROP: "not stored",
}


def node(tag: str, *content: Element | str | Mapping[str, str]) -> Element:
    """Return an element of texts, elements and attributes: `node("b", "x", {"class": "y"})`."""
    made = Element(tag)
    for each in content:
        if isinstance(each, Element):
            made.append(each)
        elif isinstance(each, str):
            _add_text(made, each)
        else:
            made.attrib.update(each)
    return made


def _add_text(made: Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


def mark(text: str, kind: str = "") -> Element:
    """Return a short word in a frame."""
    return node("span", text, {"class": f"mark {kind or text}"})


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table_id(contract: TableContract) -> str:
    """Return the id of the table's article, to link to: `#table-orders`."""
    return f"table-{contract.table}"


def contract_article(contract: TableContract) -> Element:
    """Return a table's facts and its columns. The filter searches `.facts` and the rows."""
    attributes = {"id": table_id(contract), "class": "card", "aria-label": contract.table}
    return node("article", _facts(contract), _columns(contract), attributes)


def _facts(contract: TableContract) -> Element:
    named = f"{contract.contract} {contract.version}"
    facts = node(
        "div",
        node(
            "div",
            node("h2", node("code", contract.table)),
            mark(contract.mode),
            node("span", f"{named}, {contract.status}", {"class": "soft text"}),
            {"class": "head"},
        ),
        {"class": "facts"},
    )
    if contract.description:
        facts.append(node("p", contract.description, {"class": "text"}))
    facts.append(node("dl", *_definitions(contract)))
    return facts


def _definitions(contract: TableContract) -> Iterator[Element]:
    for term, text in _layout(contract):
        if text:
            yield node("dt", term)
            yield node("dd", text, {"class": "text"})


def _layout(contract: TableContract) -> Iterator[tuple[str, str]]:
    """Yield what the contract says of its table; empty where it says nothing."""
    yield "Mode", f"{contract.mode}: {_MODES[contract.mode]}"
    yield "Team", contract.team
    yield "Owner", contract.owner
    yield "Primary key", ", ".join(contract.primary_key)
    yield "Partition", _partition(contract)
    yield "Clustering", ", ".join(contract.clustering)
    yield "Labels", ", ".join(f"{key}: {held}" for key, held in contract.labels.items())
    yield "Rejections", "are sent to a webhook" if contract.notify else ""
    yield "Columns", str(len(contract.columns))


def _partition(contract: TableContract) -> str:
    if contract.partition is None:
        return ""
    column, granularity, days = contract.partition
    kept = f", kept {days:g} days" if days else ""
    return f"{column}, by {granularity.lower()}{kept}"


def _columns(contract: TableContract) -> Element:
    heads = (node("th", name, {"scope": "col"}) for name in ("Column", "Type", "Rules", "Meaning"))
    rows = (_row(contract, each) for each in contract.columns)
    return node("table", node("thead", node("tr", *heads)), node("tbody", *rows))


def _row(contract: TableContract, column: ContractColumn) -> Element:
    return node(
        "tr",
        node("td", node("code", column.name, {"class": "name"}), *_marks(contract, column)),
        node("td", node("code", column.declared)),
        node("td", *_rules(column)),
        node("td", *_meaning(column)),
    )


def _marks(contract: TableContract, column: ContractColumn) -> Iterator[Element]:
    if column.name in contract.primary_key:
        place = contract.primary_key.index(column.name) + 1
        yield mark("key" if len(contract.primary_key) == 1 else f"key {place}", "key")
    if column.required:
        yield mark("required")
    if column.classification:
        yield mark(column.classification, "class")
    if column.transform:
        yield mark(_TRANSFORMS[column.transform], "hidden")


def _rules(column: ContractColumn) -> Iterator[Element]:
    """Yield a list of the rules on a value; an enumeration has all its values."""
    listed = [node("li", *_rule(column, each)) for each in value_rules(column)]
    if listed:
        yield node("ul", *listed, {"class": "rules text"})


def _rule(column: ContractColumn, rule: ValueRule) -> Iterator[Element | str]:
    if rule.rule == "contract_enum":
        return _values("one of ", column.enum)
    if rule.rule == "contract_pattern":
        return _values("matches ", [column.pattern or ""])
    return iter([rule.expected])


def _meaning(column: ContractColumn) -> Iterator[Element]:
    if column.description:
        yield node("span", column.description, {"class": "text"})
    if column.examples:
        shown = map(_shown, column.examples)
        yield node("p", *_values("such as ", shown), {"class": "examples soft text"})


def _values(before: str, values: Iterable[str]) -> Iterator[Element | str]:
    """Yield values, separated by commas."""
    for text in values:
        yield before
        yield node("code", text)
        before = ", "


def _shown(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
