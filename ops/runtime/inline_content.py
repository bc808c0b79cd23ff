"""The script and the style of a page, as a Content-Security-Policy allows them."""

import base64
import hashlib
import re


def inline_hash(text: str, element: str) -> str:
    """Return the source expression for the page's only element of this name."""
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
