"""The URL of a webhook, as a contract or an API key names it."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

MAX_URL: Final = 2_048
"""Characters."""


class BadWebhookUrl(ValueError):
    """A text cannot be the URL of a webhook; the message is the reason."""


def check_webhook_url(text: str) -> str:
    """Return the URL: https, or http to this machine. Raises BadWebhookUrl."""
    if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise BadWebhookUrl(f"a URL has at most {MAX_URL:,} characters of ASCII, and no spaces")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadWebhookUrl(f"this is no URL: {error}") from None
    if "@" in parts.netloc or parts.fragment:
        raise BadWebhookUrl("a URL without a user, a password and a fragment is expected")
    if not host or (parts.scheme != "https" and not is_plain(text)):
        raise BadWebhookUrl("a URL such as https://hooks.example.com/gatekeeper is expected")
    return text


def is_plain(url: str) -> bool:
    """Whether a URL is plain http, to a loopback address."""
    parts = urlsplit(url)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
