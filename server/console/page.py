"""The console's page: one file, and the headers that let nothing but its own script run."""

import base64
import hashlib
import re
from importlib import resources
from typing import Final, NamedTuple, Self

_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Server": "gatekeeper",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Page(NamedTuple):
    """What `GET /` answers."""

    body: bytes
    headers: dict[str, str]

    @classmethod
    def load(cls) -> Self:
        """Read the page that is part of the package."""
        return cls.of((resources.files("server.console") / "page.html").read_text("utf-8"))

    @classmethod
    def of(cls, text: str) -> Self:
        """Make the page's policy: its one script and one style by their hashes, nothing else."""
        return cls(text.encode(), {**_HEADERS, "Content-Security-Policy": _policy(text)})


def _policy(text: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(text, 'script')}",
            f"style-src {_hash(text, 'style')}",
            "connect-src 'self'",
            "img-src data:",  # the empty icon
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            # Assigning text to a sink such as innerHTML fails, in browsers that know of it.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str, element: str) -> str:
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
