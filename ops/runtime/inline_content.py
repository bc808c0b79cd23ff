"""The script and the style of a page, as a Content-Security-Policy allows them."""

import base64
import hashlib
import re
from importlib import resources


def inline_hash(text: str, element: str) -> str:
    """Return the source expression for the page's only element of this name."""
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page_style() -> str:
    """Return what the style of every page begins with: its colors, light and dark."""
    return (resources.files("ops.runtime") / "page_style.css").read_text("utf-8")
