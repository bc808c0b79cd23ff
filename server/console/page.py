"""The console's page: one file, and the headers that allow nothing but its own script."""

from importlib import resources
from typing import Final

from ops.runtime.inline_content import inline_hash

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


def load_page() -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the page that is part of the package."""
    text = (resources.files("server.console") / "page.html").read_text("utf-8")
    return text.encode(), {**_HEADERS, "Content-Security-Policy": security_policy(text)}


def security_policy(text: str) -> str:
    return _POLICY.format(script=inline_hash(text, "script"), style=inline_hash(text, "style"))
