"""Sends a notification: a POST that is signed, and reaches public addresses only.

Signed by Standard Webhooks, so a receiver checks it with a library of its language. The address is
checked at the socket: after the name was resolved, and for each connection, so that neither a name
nor a redirect leads into the private network.
"""

import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from standardwebhooks import Webhook

from ops.notify.notification import MEDIA_TYPE, Notification, cloud_event
from ops.notify.webhook_secret import read_notify_keys, secret_of
from ops.runtime.settings import Settings
from schema import is_plain

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER: Final = 1_000
"""Bytes of an answer that are read."""
GONE: Final = 410
"""The receiver wants no more."""

# They stand for an IPv4 address, perhaps a private one.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"))


class Reply(NamedTuple):
    """What a receiver answered: `status` 0 stands for none, and `text` is then the error."""

    status: int
    text: str

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004


class Webhooks:
    """Sends notifications; made by `open_webhooks`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        keys: Sequence[bytes],
        origin: str,
        *,
        allows_http: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._keys = keys
        self._origin = origin
        self._allows_http = allows_http
        self._clock = clock

    async def send(self, notification: Notification) -> Reply:
        """Send a notification once; never raises for what the receiver does."""
        if is_plain(notification.url) and not self._allows_http:
            return Reply(0, "plain http is for local mode only")
        body = cloud_event(notification, self._origin)
        try:
            async with self._session.post(
                notification.url,
                data=body.encode(),
                headers=self._headers(notification, body),
                allow_redirects=False,
            ) as response:
                answer = await response.content.read(MAX_ANSWER)
                return Reply(response.status, answer.decode(errors="replace"))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Reply(0, f"{type(error).__name__}: {error}")

    def _headers(self, notification: Notification, body: str) -> dict[str, str]:
        now = self._clock()
        signatures = [
            Webhook(secret_of(notification.url, key)).sign(notification.id, now, body)
            for key in self._keys
        ]
        return {
            "Content-Type": MEDIA_TYPE,
            "User-Agent": "gatekeeper",
            "webhook-id": notification.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


@asynccontextmanager
async def open_webhooks(settings: Settings) -> AsyncIterator[Webhooks]:
    """Open a client for webhooks. Raises OSError if NOTIFY_KEY_FILE cannot be read."""
    if settings.notify_key_file is None:
        raise FileNotFoundError("NOTIFY_KEY_FILE is not set")
    keys = read_notify_keys(settings.notify_key_file)
    check = AddressCheck(loopback=not settings.cloud, private=settings.notify_private_addresses)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=check.open_socket),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        auto_decompress=False,  # a small answer may become a large one
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        origin = f"/gatekeeper/{settings.project_id}/{settings.dataset_id}"
        yield Webhooks(session, keys, origin, allows_http=not settings.cloud)


class AddressCheck(NamedTuple):
    """Which addresses besides public ones may be connected to."""

    loopback: bool
    private: bool

    def open_socket(self, address: "AddrInfoType") -> socket.socket:
        """Make the socket for an address. Raises PermissionError if it may not be connected to."""
        family, kind, protocol, _, target = address
        if not self.allows(target[0]):
            raise PermissionError(errno.EACCES, f"{target[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    def allows(self, text: str) -> bool:
        found = _plain_address(text)
        if found.is_loopback:
            return self.loopback or self.private
        # Link-local: 169.254.169.254 has the credentials of a machine in a cloud.
        if found.is_multicast or found.is_link_local or found.is_unspecified:
            return False
        is_translated = any(found in network for network in _TRANSLATED)
        return self.private or (found.is_global and not is_translated)


def _plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; that of `::ffff:10.0.0.1` is 10.0.0.1."""
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
