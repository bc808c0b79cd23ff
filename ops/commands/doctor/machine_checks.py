"""The doctor's checks of this machine and what is near it. They block."""

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from ops.commands.doctor.finding import Skipped, Wrong
from ops.runtime import credentials as google_credentials
from ops.runtime.settings import Settings
from server.publish import SpoolFailed
from server.spool import read_summary

LEAST_FREE_BYTES = 1_000_000_000
"""Below this the embedded services, the spool and the logs are about to fill the disk."""
MOST_SKEW_SECONDS = 5.0
"""A Date header has whole seconds; past this, times in the ledger and in the metrics mislead."""
_GIGABYTE = 1_000_000_000


def settings_(settings: Settings, seconds: float) -> str:
    """Say which mode the settings, which are valid, put the fleet in."""
    del seconds
    if settings.local:
        return "valid; local mode, as PROJECT_ID is not set"
    emulated = [
        f"{name}={address}"
        for name, address in (
            ("PUBSUB_EMULATOR_HOST", settings.pubsub_emulator_host),
            ("BIGQUERY_EMULATOR_HOST", settings.bigquery_emulator_host),
        )
        if address
    ]
    but = f", but {' and '.join(emulated)}" if emulated else ""
    return f"valid; project {settings.project_id}{but}"


def credentials(settings: Settings, seconds: float) -> str:
    """Read the credentials and obtain a token with them."""
    if settings.pubsub_emulator_host and settings.bigquery_emulator_host:
        raise Skipped("emulators ask for none" if not settings.local else "local mode needs none")
    file = settings.google_application_credentials
    remedy = (
        f"make {file} a readable key of the service account"
        if file
        else "set GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login"
    )
    try:
        found = google_credentials.find(settings)
        found.refresh(_Bounded(seconds))  # type: ignore[no-untyped-call]
    except (GoogleAuthError, OSError, ValueError) as error:
        raise Wrong(" ".join(str(error).split())[:300], remedy) from None
    who = getattr(found, "service_account_email", None) or "the environment's own identity"
    return f"a token was obtained for {who}"


class _Bounded(Request):
    """Google's transport with a bound on each request."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def __call__(self, *arguments: object, **options: object) -> object:
        options["timeout"] = self._seconds
        return super().__call__(*arguments, **options)  # type: ignore[no-untyped-call]


def pushgateway(settings: Settings, seconds: float) -> str:
    """Ask the Pushgateway whether it is ready."""
    address = settings.pushgateway_prometheus_host
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=seconds):
            return f"ready at {address}"
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise Wrong(
            f"{address}: {why}",
            "ops/up" if settings.local else "start it, or mend PUSHGATEWAY_PROMETHEUS_HOST",
        ) from None


def disk(settings: Settings, seconds: float) -> str:
    """Look at the room under STATE_DIR, and whether it may be written."""
    del seconds
    folder = settings.state_dir.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise Wrong(f"{existing} cannot be written", f"chown -R {os.getuid()} {existing}")
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        raise Wrong(
            f"{free / _GIGABYTE:.2f} GB free under {existing}",
            f"free some (du -xh {existing} | sort -h), or set STATE_DIR",
        )
    return f"{free / _GIGABYTE:,.1f} GB free under {existing}"


def spool(settings: Settings, seconds: float) -> str:
    """Look into the servers' spool: what waits there, and what never will be published."""
    try:
        spooled = read_summary(settings, seconds)
    except SpoolFailed as error:
        raise Wrong(str(error), "supervisorctl roll server: a start moves it aside") from None
    if spooled is None:
        return "nothing was ever spooled"
    if spooled.refused:
        raise Wrong(
            f"{spooled.refused:,} transactions that Pub/Sub refused are kept in {spooled.file}",
            "docs/runbook.md#gatekeeperspoolrefused",
        )
    if spooled.messages:
        return f"{spooled.messages:,} transactions ({spooled.bytes / 1e6:,.1f} MB) wait for Pub/Sub"
    return "empty"


def api_keys(settings: Settings, seconds: float) -> str:
    """Read the file of API keys."""
    del seconds
    file = settings.api_keys_file
    if file is None:
        raise Skipped("API_KEYS_FILE is not set: no key is asked for")
    try:
        Path(file).read_bytes()
    except FileNotFoundError:
        raise Wrong(f"{file} does not exist", "gatekeeper apikey create NAME") from None
    except OSError as error:
        raise Wrong(f"{file}: {error.strerror}", f"chown {os.getuid()} {file}") from None
    return f"{file} can be read"


def clock(settings: Settings, seconds: float) -> str:
    """Compare the clock with that of whichever service answers first, in this order."""
    sources = [
        "https://pubsub.googleapis.com/"
        if settings.pubsub_emulator_host is None
        else f"http://{settings.bigquery_emulator_host}/"
        if settings.bigquery_emulator_host
        else "https://bigquery.googleapis.com/",
        f"http://{settings.pushgateway_prometheus_host}/-/ready",
    ]
    for source in sources:
        skew = _skew(source, seconds / len(sources))
        if skew is not None:
            return judge_clock(skew, source)
    raise Skipped("no service that could tell the time answers")


def judge_clock(skew: float, source: str) -> str:
    """Return what is to say about a clock; raises `Wrong` where it is too far off. Pure."""
    host = source.split("/")[2]
    if abs(skew) > MOST_SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        raise Wrong(f"{abs(skew):,.0f} s {ahead} {host}", "timedatectl set-ntp true")
    return f"agrees with {host} within {MOST_SKEW_SECONDS:g} s"


def _skew(url: str, seconds: float) -> float | None:
    """Return how many seconds this clock is ahead of a server's; None when it does not say."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  # our own addresses
    before = time.time()
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310  # as above
            date = answer.headers["Date"]
    except urllib.error.HTTPError as answer:  # any answer has the time
        date = answer.headers["Date"]
        answer.close()
    except OSError:
        return None
    if date is None:
        return None
    middle = (before + time.time()) / 2
    # The header has cut off what is below a second: half of one on average.
    return middle - parsedate_to_datetime(date).timestamp() - 0.5


CHECKS: dict[str, Callable[[Settings, float], str]] = {
    "settings": settings_,
    "pushgateway": pushgateway,
    "disk": disk,
    "spool": spool,
    "clock": clock,
    "api keys": api_keys,
}
