import base64
import hashlib
import re
from html.parser import HTMLParser

from server.console.page import Page


def policy(page: Page) -> dict[str, str]:
    parts = (part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    return dict(parts)  # type: ignore[arg-type]


def test_the_policy_lets_the_pages_own_script_and_style_in_and_nothing_else() -> None:
    page = Page.load()
    rules = policy(page)
    for element, rule in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", page.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_another_script_is_another_policy() -> None:
    text = "<style>a</style><script>{}</script>"
    assert (
        policy(Page.of(text.format(1)))["script-src"]
        != policy(Page.of(text.format(2)))["script-src"]
    )


class Seen(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_no_other_host_and_no_inline_handler() -> None:
    seen = Seen(Page.load())
    for tag, attributes in seen.tags:
        assert not {name for name in attributes if name.startswith("on")}, tag
        assert "style" not in attributes, "the policy would refuse it"
        for name in ("src", "href", "action"):
            assert not re.match(r"(?i)\s*(https?:|//|javascript:)", attributes.get(name) or "")


def test_the_script_makes_no_markup_and_stores_nothing() -> None:
    text = Page.load().body.decode()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "localStorage",
        "sessionStorage",
        "document.cookie",
        "indexedDB",
    ):
        assert word not in text


def test_every_field_has_a_label_and_every_id_is_there_once() -> None:
    seen = Seen(Page.load())
    labels = {attributes["for"] for tag, attributes in seen.tags if tag == "label"}
    fields = {attributes["id"] for tag, attributes in seen.tags if tag in {"input", "textarea"}}
    assert fields == labels
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
