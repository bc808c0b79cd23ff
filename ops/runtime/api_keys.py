"""API keys: their file, how they are made, and the keys in force.

The file holds salted hashes only, one JSON object a line: the fields of `ApiKey`. Lines of older
versions end with `created`. A key is 256 random bits, so one round of BLAKE2b is enough: nobody can
try a list of likely keys.
"""

import hashlib
import hmac
import json
import math
import os
import secrets
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from ops.runtime import log, metrics
from schema import check_webhook_url

PREFIX: Final = "gk_"
"""Every key starts with it, so that a search finds a key that leaked into a text."""

Role = Literal["send", "operate"]
"""What a key may do: send transactions, or also see the whole fleet."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

GRACE_SECONDS: Final = 0.5
"""How long the keys in force outlive a change of the file that cannot be read."""

_REREAD_SECONDS = 0.25  # while a further change may not show in the file's times
_COARSE_CLOCK_SECONDS = 2.0  # the coarsest clock of a file system
_SALT_BYTES = 16  # BLAKE2b's maximum
_HASH_BYTES = 32

logger = log.get(__name__)


class InvalidKeys(ValueError):
    """The keys file cannot be used; the text names the line and the error."""


class ApiKey(NamedTuple):
    """One line of the file; `created` is RFC 3339.

    `tables` are patterns of the table names that the key may write. `rate` is in transactions a
    second, None for no limit; `burst` transactions may come at the same instant. `notify` is
    the URL that its rejected transactions are reported to, empty for none.
    """

    name: str
    salt: bytes
    hash: bytes
    created: str
    role: Role = "send"
    tables: tuple[str, ...] = ("*",)
    rate: float | None = None
    burst: int = 1
    notify: str = ""

    def may_write(self, table: str) -> bool:
        return any(fnmatchcase(table, pattern) for pattern in self.tables)

    def line(self) -> str:
        fields = {**self._asdict(), "salt": self.salt.hex(), "hash": self.hash.hex()}
        return json.dumps(fields) + "\n"


def mint(name: str, created: str, **limits: Any) -> tuple[str, ApiKey]:
    """Make a key: return its text, which is shown to the client once, and its line of the file.

    `limits` are the fields of ApiKey from `role` on.
    """
    text = PREFIX + secrets.token_urlsafe(32)
    salt = secrets.token_bytes(_SALT_BYTES)
    return text, ApiKey(name, salt, _hashed(text, salt), created, **limits)


def _hashed(text: str, salt: bytes) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=_HASH_BYTES, salt=salt).digest()


def read(path: Path) -> list[ApiKey]:
    """Return the keys of a file, none where there is no file. Raises InvalidKeys."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidKeys(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidKeys(f"{path}: {error}") from None


def parse(text: str) -> list[ApiKey]:
    """Return the keys of a file's text. Raises InvalidKeys."""
    lines = enumerate(text.splitlines(), 1)
    return [_parse_line(number, line) for number, line in lines if line.strip()]


def _parse_line(number: int, line: str) -> ApiKey:
    try:
        fields = json.loads(line)
        salt, digest = bytes.fromhex(fields["salt"]), bytes.fromhex(fields["hash"])
        key = ApiKey(str(fields["name"]), salt, digest, str(fields["created"]), **_limits(fields))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidKeys(f"line {number}: {type(error).__name__}: {error}") from None
    if not key.name or len(salt) != _SALT_BYTES or len(digest) != _HASH_BYTES:
        raise InvalidKeys(f"line {number}: a name, a salt or a hash has the wrong length")
    return key


def _limits(fields: dict[str, Any]) -> dict[str, Any]:
    """Read what a key may do. Raises ValueError or TypeError: a key is never wider than written."""
    limits: dict[str, Any] = {}
    if "role" in fields:
        if fields["role"] not in ROLES:
            raise ValueError(f"a role is {' or '.join(ROLES)}")
        limits["role"] = fields["role"]
    if "tables" in fields:
        if not isinstance(fields["tables"], list):
            raise TypeError("tables is a list of patterns")
        limits["tables"] = tuple(map(str, fields["tables"]))
    if fields.get("rate") is not None:
        limits["rate"], limits["burst"] = float(fields["rate"]), int(fields.get("burst", 1))
        if not (0 < limits["rate"] < math.inf and limits["burst"] >= 1):
            raise ValueError("a rate is above 0, and a burst 1 or more")
    if fields.get("notify"):
        limits["notify"] = check_webhook_url(str(fields["notify"]))
    return limits


class KeysUnreadable(Exception):
    """The keys in force are unknown: their file changed, and cannot be read."""


class _Version(NamedTuple):
    """What changes with a file, and for how long it has not changed."""

    identity: tuple[int, ...]
    age_seconds: float

    @property
    def settled(self) -> bool:
        """Whether a further change must show in the file's times."""
        return self.age_seconds > _COARSE_CLOCK_SECONDS


class KeyRing:
    """The keys of a file, read again when the file changes. Raises InvalidKeys when it is made.

    While a changed file cannot be read, the keys in force stay for GRACE_SECONDS: it may be
    half-written. After that none is known to be valid, and every question raises KeysUnreadable.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        self._wall_clock = wall_clock
        self._identity: tuple[int, ...] = ()
        self._settled = False
        self._keys: list[ApiKey] = []
        self._read_at = float("-inf")
        self._failing_since: float | None = None
        self._read()

    def find(self, text: str) -> ApiKey | None:
        """Return the line of the file that a key's text belongs to, or None. Raises KeysUnreadable.

        Compares every key in constant time, so that the duration reveals nothing about the keys.
        """
        self._refresh()
        found = None
        for key in self._keys:
            if hmac.compare_digest(_hashed(text, key.salt), key.hash):
                found = key
        return found

    def _refresh(self) -> None:
        version = self._version()
        now = self._clock()
        same = version.identity == self._identity
        if same and (self._settled or now - self._read_at < _REREAD_SECONDS):
            return
        try:
            self._read()
        except InvalidKeys as error:
            if self._failing_since is None:
                self._failing_since = now
                logger.error("api_keys_unreadable", file=self._path, error=str(error))  # noqa: TRY400
                metrics.DEGRADED.labels("api_keys").set(1)
            if max(version.age_seconds, now - self._failing_since) >= GRACE_SECONDS:
                raise KeysUnreadable(str(error)) from None

    def _read(self) -> None:
        """Read the file; remember its version only when that has succeeded."""
        version = self._version()
        keys = read(self._path)
        if keys != self._keys:
            logger.info("api_keys_read", file=self._path, keys=len(keys))
        self._keys = keys
        self._identity, self._settled = version.identity, version.settled
        self._read_at = self._clock()
        self._failing_since = None
        metrics.DEGRADED.labels("api_keys").set(0)

    def _version(self) -> _Version:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # twice as fast, and for every request
        except OSError as error:
            return _Version((error.errno or 0,), float("inf"))
        identity = (found.st_ctime_ns, found.st_size, found.st_ino)
        return _Version(identity, self._wall_clock() - found.st_ctime)
