import base64
import hashlib
import re
from html.parser import HTMLParser

from server.console.page import load_page, security_policy


def rules(policy: str) -> dict[str, str]:
    parts = (part.partition(" ") for part in policy.split("; "))
    return {name: value for name, _, value in parts}


def html() -> str:
    body, _ = load_page()
    return body.decode()


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    _, headers = load_page()
    policy = rules(headers["Content-Security-Policy"])
    for element, rule in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", html(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[rule] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_another_script_is_another_policy() -> None:
    text = "<style>a</style><script>{}</script>"
    one, other = (rules(security_policy(text.format(each)))["script-src"] for each in (1, 2))
    assert one != other


class TagList(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_no_other_host_and_no_inline_handler() -> None:
    page = TagList()
    for tag, attributes in page.tags:
        assert not {name for name in attributes if name.startswith("on")}, tag
        assert "style" not in attributes, "the policy would refuse it"
        for name in ("src", "href", "action"):
            assert not re.match(r"(?i)\s*(https?:|//|javascript:)", attributes.get(name) or "")


def test_the_script_makes_no_markup_and_stores_nothing() -> None:
    text = html()
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
    page = TagList()
    labels = {attributes["for"] for tag, attributes in page.tags if tag == "label"}
    fields = {attributes["id"] for tag, attributes in page.tags if tag in {"input", "textarea"}}
    assert fields == labels
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
