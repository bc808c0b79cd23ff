"""The console's page, and the headers that allow nothing but its own script.

Its script and its style are files here, and are put into the page: so a page and its script are
always of one version, whichever server answers during a roll, and their hashes are its policy.
"""

from importlib import resources
from typing import Final

from ops.runtime.inline_content import inline_hash, page_style

_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Server": "gatekeeper",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Its one script and one style are allowed by their hashes; `data:` is the empty icon. Trusted types
# make assigning text to a sink such as innerHTML fail, in browsers that support them.
_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


_SCRIPTS: Final = ("formats.js", "charts.js", "actions.js", "search.js", "console.js")
"""One script, in this order."""


def load_page() -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the page that is part of the package."""
    style = page_style() + _file("console.css")
    text = _file("page.html").replace("<style></style>", f"<style>{style}</style>")
    script = "\n".join(map(_file, _SCRIPTS))
    text = text.replace("<script></script>", f"<script>{script}</script>")
    return text.encode(), {**_HEADERS, "Content-Security-Policy": security_policy(text)}


def _file(name: str) -> str:
    return (resources.files("server.console") / name).read_text("utf-8")


def security_policy(text: str) -> str:
    return _POLICY.format(script=inline_hash(text, "script"), style=inline_hash(text, "style"))
