"""The page of all contracts: what stands on it, and that no contract's text becomes markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from ops.commands.contract.contract_page import as_json, as_page
from schema.contracts import ContractColumn, TableContract
from tests.support.contracts import column, contract

HOSTILE = """</code><script>alert(1)</script><img src=x onerror=alert(1)>"'&amp;"""


class ParsedPage(HTMLParser):
    """The page as a browser reads it: its tags, and the texts outside of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._open not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str) -> int:
        return [name for name, _ in self.tags].count(tag)


def orders(*columns: dict[str, Any], **fields: Any) -> TableContract:
    return contract("orders", *columns, **fields)


def shown(*contracts: TableContract) -> ParsedPage:
    return ParsedPage(as_page(contracts))


def test_a_contract_shows_what_it_says_of_its_table() -> None:
    found = contract(
        "orders",
        column("shop", "INTEGER", primaryKey=True, primaryKeyPosition=2),
        column("id", "INTEGER", primaryKey=True, primaryKeyPosition=1),
        column("at", "TIMESTAMP", partitioned=True),
        custom={
            "mode": "freeze",
            "clustering": ["id", "shop"],
            "partitionGranularity": "MONTH",
            "partitionExpirationDays": 90,
            "labels": {"cost": "low"},
        },
    )
    text = shown(replace(found, description="All of them.\nEver.")).text
    for part in (
        "1 table, 1 team",
        "orders 2.1.0, active",
        "All of them. Ever.",
        "Mode freeze: what breaks the contract is refused",
        "Team shop",
        "Owner ada",
        "Primary key id, shop",
        "Partition at, by month, kept 90 days",
        "Clustering id, shop",
        "Labels cost: low",
        "Columns 3",
    ):
        assert part in text, part


def test_a_column_shows_its_type_rules_and_examples() -> None:
    values = [str(number) for number in range(12)]
    rule = {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": values}}
    text = shown(
        orders(
            column("id", "INTEGER", primaryKey=True),
            column(
                "amount",
                "DECIMAL(12,2)",
                required=True,
                logicalType="number",
                logicalTypeOptions={"minimum": 0},
                description="In euros.",
                examples=[1, "2.50"],
            ),
            column("state", "VARCHAR(9)", quality=[rule]),
            column(
                "email",
                classification="restricted",
                customProperties=[{"property": "gatekeeper.transform", "value": "hash"}],
            ),
        )
    ).text
    for part in (
        "id key required INTEGER",
        "amount required DECIMAL(12,2) at least 0 In euros. such as 1 , 2.50",
        "state VARCHAR(9) 9 characters long or less one of " + " , ".join(values),
        "email restricted hashed TEXT",
    ):
        assert part in text, part


def test_the_index_has_every_table_by_team_and_those_without_a_team_last() -> None:
    page = shown(
        contract("a", team={"name": "stock"}),
        contract("b", team=None),
        contract("c", team={"name": "Shop"}),
    )
    index = page.text[: page.text.index("Mode")]
    places = [index.index(word) for word in ("Shop c", "stock a", "No team b")]
    assert places == sorted(places)
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    ids = {attributes["id"] for tag, attributes in page.tags if tag == "article"}
    assert links == {f"#{each}" for each in ids}
    assert len(ids) == 3


def hostile_contract() -> TableContract:
    texts: dict[str, Any] = dict.fromkeys(
        ("contract", "version", "status", "team", "owner", "description", "table"), HOSTILE
    )
    hostile_column = ContractColumn(
        name=HOSTILE,
        declared="TEXT",
        description=HOSTILE,
        classification=HOSTILE,
        examples=(HOSTILE, {HOSTILE: HOSTILE}),
        pattern=HOSTILE,
        enum=(HOSTILE,),
    )
    return replace(orders(), **texts, columns=(hostile_column,), labels={HOSTILE: HOSTILE})


def test_a_text_of_a_contract_is_never_markup() -> None:
    page = shown(hostile_contract())
    assert (page.count("script"), page.count("img")) == (1, 0)
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes
    assert page.text.count(HOSTILE) >= 16


def test_the_same_text_unescaped_would_be_a_script_and_an_image() -> None:
    page = ParsedPage(as_page([hostile_contract()]).replace("&lt;", "<").replace("&gt;", ">"))
    assert page.count("script") > 1
    assert page.count("img") > 1


def test_the_page_names_no_other_host() -> None:
    page = shown(orders())
    for _, attributes in page.tags:
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "http" not in re.sub("http-equiv", "", as_page([orders()]))


def test_equal_contracts_make_equal_pages() -> None:
    assert as_page([orders()]) == as_page([replace(orders(), file="/elsewhere.yaml", line=9)])


def test_the_address_of_a_webhook_is_shown_nowhere() -> None:
    found = orders(custom={"notify": "https://hooks.example.com/secret"})
    assert "secret" not in as_page([found])
    assert "Rejections are sent to a webhook" in shown(found).text
    assert as_json([found])["tables"][0]["notify"] is True


def test_without_contracts_the_page_says_so() -> None:
    assert "No contract is in force." in shown().text
