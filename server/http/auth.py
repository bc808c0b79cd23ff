"""API keys: who may send, and under which name; the file holds salted hashes alone.

One JSON object a line, `{"name", "salt", "hash", "created"}`. A key is 256 random bits, so one
round of BLAKE2b is enough: there is no list of likely keys to try.
"""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime import log
from server.api import verdict
from server.api.activities import SOURCE

PREFIX: Final = "gk_"
"""Every key starts with it, so that one that leaked into a text is found."""

OPEN_ROUTES: Final = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})

_SALT_BYTES = 16  # what BLAKE2b takes
_HASH_BYTES = 32

logger = log.get(__name__)


class InvalidKeys(ValueError):
    """The keys file cannot be used; the text names the line and what is wrong with it."""


class ApiKey(NamedTuple):
    """One line of the file; `created` is RFC 3339."""

    name: str
    salt: bytes
    hash: bytes
    created: str

    def line(self) -> str:
        """Write the line that the file holds."""
        fields = {**self._asdict(), "salt": self.salt.hex(), "hash": self.hash.hex()}
        return json.dumps(fields) + "\n"


def mint(name: str, created: str) -> tuple[str, ApiKey]:
    """Make a key: the text for the client, which is shown once, and what is kept of it."""
    text = PREFIX + secrets.token_urlsafe(32)
    salt = secrets.token_bytes(_SALT_BYTES)
    return text, ApiKey(name, salt, _hashed(text, salt), created)


def _hashed(text: str, salt: bytes) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=_HASH_BYTES, salt=salt).digest()


def parse(text: str) -> list[ApiKey]:
    """Read the lines of a keys file. Raises InvalidKeys."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            salt, digest = bytes.fromhex(fields["salt"]), bytes.fromhex(fields["hash"])
            key = ApiKey(str(fields["name"]), salt, digest, str(fields["created"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidKeys(f"line {number}: {type(error).__name__}: {error}") from None
        if not key.name or len(salt) != _SALT_BYTES or len(digest) != _HASH_BYTES:
            raise InvalidKeys(f"line {number}: a name, a salt or a hash is of the wrong length")
        keys.append(key)
    return keys


class KeyRing:
    """The keys of a file, read again whenever the file changes; a missing file holds no keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._keys: list[ApiKey] = []
        self._read()

    def owner(self, text: str) -> str | None:
        """Return the name that a key belongs to, or None.

        Every key is compared, in constant time: how long it takes says nothing about which is near.
        """
        self._refresh()
        found = None
        for key in self._keys:
            if hmac.compare_digest(_hashed(text, key.salt), key.hash):
                found = key.name
        return found

    def _refresh(self) -> None:
        if self._stamp() == self._version:
            return
        try:
            self._read()
        except InvalidKeys:  # an editor's half-written file: the keys in force stay so
            logger.exception("api_keys_unreadable", file=self._path)
        else:
            logger.info("api_keys_read", file=self._path, keys=len(self._keys))

    def _read(self) -> None:
        self._version = self._stamp()
        try:
            self._keys = parse(self._path.read_text())
        except FileNotFoundError:
            self._keys = []
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidKeys(f"{self._path}: {error}") from None
        except InvalidKeys as error:
            raise InvalidKeys(f"{self._path}: {error}") from None

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # twice as fast, and for every request
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


KEYS: Final = web.AppKey("keys", KeyRing)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who holds a key, and name the request's source after it; others get 401."""
    if request.path in OPEN_ROUTES:
        return await handler(request)
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        why = "send Authorization: Bearer and the API key"
        return verdict.unauthorized(why).response()
    source = request.app[KEYS].owner(text.strip())
    if source is None:
        return verdict.unauthorized("this API key is unknown or revoked").response()
    request[SOURCE] = source
    return await handler(request)
