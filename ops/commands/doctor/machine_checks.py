"""The doctor's checks of this machine, its settings and its Pushgateway. They block."""

import contextlib
import functools
import os
import shutil
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from ops.commands.contract.contract_lint import lint
from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.commands.google_failure import one_line
from ops.commands.provision.subscriptions import RETENTION_SECONDS
from ops.commands.status.process_samples import SpoolBacklog
from ops.notify import Outbox, outbox_file, read_receivers
from ops.runtime import credentials as google_credentials
from ops.runtime import direct_http
from ops.runtime.contracts_in_force import ContractsInForce
from ops.runtime.halts import HALT_METRICS, RESUME, halts
from ops.runtime.pushed_metrics import read_pushed
from ops.runtime.settings import Settings
from server.publish import SpoolFailed
from server.spool import read_summary

LEAST_FREE_BYTES = 1_000_000_000
"""Below this the embedded services, the spool and the logs may soon fill the disk."""
MOST_SKEW_SECONDS = 5.0
"""Beyond this, times in the ledger and in the metrics mislead. A Date header has whole seconds."""
_GIGABYTE = 1_000_000_000
_OF_OTHERS = stat.S_IRWXO | stat.S_IWGRP


def settings_(settings: Settings, seconds: float) -> str:
    """Return the mode. The settings are valid: invalid ones stop every command."""
    del seconds
    if not settings.cloud:
        where = "" if settings.local else "; LOCAL=0: the embedded services are another machine's"
        return f"valid; local mode, because PROJECT_ID is not set{where}"
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
    if settings.pubsub_emulator_host and settings.bigquery_emulator_host:
        raise CheckSkipped("emulators need none" if settings.cloud else "local mode needs none")
    file = settings.google_application_credentials
    if file is not None:
        check_private(file)
    remedy = (
        f"put a readable key of the service account in {file}"
        if file
        else "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
    )
    try:
        found = google_credentials.find(settings)
        found.refresh(functools.partial(Request(), timeout=seconds))
    except (GoogleAuthError, OSError, ValueError) as error:
        raise CheckFailed(one_line(error)[:300], remedy) from None
    who = getattr(found, "service_account_email", None) or "the environment's own identity"
    return f"a token was obtained for {who}"


def pushgateway(settings: Settings, seconds: float) -> str:
    address = settings.pushgateway_prometheus_host
    if address is None:
        raise CheckSkipped("PUSHGATEWAY_PROMETHEUS_HOST is not set: nothing is pushed")
    try:
        with direct_http.open_url(f"http://{address}/-/ready", seconds):
            return f"ready at {address}"
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise CheckFailed(
            f"{address}: {why}",
            "ops/up" if settings.local else "start it, or correct PUSHGATEWAY_PROMETHEUS_HOST",
        ) from None


def workers(settings: Settings, seconds: float) -> str:
    """Check that no worker has halted."""
    try:
        found = halts(read_pushed(settings, HALT_METRICS, seconds))
    except OSError:
        raise CheckSkipped("the Pushgateway does not answer") from None
    if found:
        raise CheckFailed("; ".join(map(str, found)), RESUME)
    return "none has halted"


def contracts(settings: Settings, seconds: float) -> str:
    """Check that the contracts have no faults: a set with one is not taken up."""
    del seconds
    folder = settings.contracts_dir
    if not folder.is_dir():
        raise CheckSkipped(f"there is no folder {folder}: no table has a contract")
    found = lint([folder])
    if found.faults:
        raise CheckFailed(
            f"{len(found.faults)} faults, so the contracts before stay in force: {found.faults[0]}",
            "gatekeeper contract lint",
        )
    return f"{found.files} files, {len(found.contracts)} tables"


def ledger_days(settings: Settings, seconds: float) -> str:
    """Check that the ledger keeps an id for as long as a copy of its transaction may arrive."""
    del seconds
    kept = settings.ledger_days * 24 - 1  # a partition holds an hour, and expires with its start
    for hours, why in (
        (settings.idempotency_hours, f"IDEMPOTENCY_HOURS={settings.idempotency_hours}"),
        (RETENTION_SECONDS // 3600, "the subscription keeps a message for seven days"),
    ):
        if kept < hours:
            raise CheckFailed(
                f"LEDGER_DAYS={settings.ledger_days} is too short ({why}): a copy that arrives "
                "later would be applied again",
                f"set LEDGER_DAYS={(hours + 1 + 23) // 24} or more, then gatekeeper provision",
            )
    return f"{settings.ledger_days} days, longer than a copy may arrive"


def disk(settings: Settings, seconds: float, least_free_bytes: float = LEAST_FREE_BYTES) -> str:
    """Check the free space under STATE_DIR and that it is writable."""
    del seconds
    folder = settings.state_dir.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CheckFailed(f"{existing} is not writable", f"chown -R {os.getuid()} {existing}")
    free = shutil.disk_usage(existing).free
    if free < least_free_bytes:
        raise CheckFailed(
            f"{free / _GIGABYTE:.2f} GB free under {existing}",
            f"delete files (du -xh {existing} | sort -h), or set STATE_DIR",
        )
    return f"{free / _GIGABYTE:,.1f} GB free under {existing}"


def spool(settings: Settings, seconds: float) -> str:
    """Check the spool of the servers for transactions that wait or that Pub/Sub refused."""
    try:
        spooled = read_summary(settings, seconds)
    except SpoolFailed as error:
        raise CheckFailed(str(error), "supervisorctl roll server: a start moves it aside") from None
    if spooled is None:
        return "nothing was ever spooled"
    if spooled.refused:
        raise CheckFailed(
            f"{spooled.refused:,} transactions that Pub/Sub refused are kept in {spooled.file}",
            "docs/runbook.md#gatekeeperspoolrefused",
        )
    return str(SpoolBacklog(spooled.messages, spooled.bytes))


def api_keys(settings: Settings, seconds: float) -> str:
    del seconds
    file = settings.api_keys_file
    if file is None:
        raise CheckSkipped("API_KEYS_FILE is not set: clients need no key")
    try:
        file.read_bytes()
    except FileNotFoundError:
        raise CheckFailed(f"{file} does not exist", "gatekeeper apikey create NAME") from None
    except OSError as error:
        raise CheckFailed(f"{file}: {error.strerror}", f"chown {os.getuid()} {file}") from None
    check_private(file)
    return f"{file} is readable by its owner"


def check_private(file: Path) -> None:
    """Raise `CheckFailed` if other users may read a file of secrets, or its group may change it."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & _OF_OTHERS:
        raise CheckFailed(f"{file} is open to other users (mode {mode:04o})", f"chmod 600 {file}")


def clock(settings: Settings, seconds: float) -> str:
    """Compare this clock with the first service that answers."""
    sources = [
        "https://pubsub.googleapis.com/"
        if settings.pubsub_emulator_host is None
        else f"http://{settings.bigquery_emulator_host}/"
        if settings.bigquery_emulator_host
        else "https://bigquery.googleapis.com/",
    ]
    if settings.pushgateway_prometheus_host is not None:
        sources.append(f"http://{settings.pushgateway_prometheus_host}/-/ready")
    for source in sources:
        skew = _skew(source, seconds / len(sources))
        if skew is not None:
            return check_skew(skew, source)
    raise CheckSkipped("no service with a clock answers")


def check_skew(skew: float, source: str) -> str:
    """Return the detail, or raise `CheckFailed` if the skew is too large. Pure."""
    host = source.split("/")[2]
    if abs(skew) > MOST_SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        raise CheckFailed(f"{abs(skew):,.0f} s {ahead} {host}", "timedatectl set-ntp true")
    return f"agrees with {host} within {MOST_SKEW_SECONDS:g} s"


def _skew(url: str, seconds: float) -> float | None:
    """Return how many seconds this clock is ahead of a server's; None without an answer."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  # our own addresses
    # A cloud's service may be reachable through a proxy only.
    ask = urllib.request.urlopen if url.startswith("https:") else direct_http.open_url
    before = time.time()
    try:
        with ask(request, timeout=seconds) as answer:
            date = answer.headers["Date"]
    except urllib.error.HTTPError as answer:  # any answer has a Date header
        date = answer.headers["Date"]
        answer.close()
    except OSError:
        return None
    if date is None:
        return None
    middle = (before + time.time()) / 2
    # The header omits fractions of a second: half a second on average.
    return middle - parsedate_to_datetime(date).timestamp() - 0.5


def quarantine(settings: Settings, seconds: float) -> str:
    """Find rejected messages that Pub/Sub did not take as dead letters in any form."""
    del seconds
    folder = settings.state_dir.absolute() / "quarantined"
    files = len(list(folder.glob("*.json"))) if folder.is_dir() else 0
    if files:
        why = f"{files} rejected messages that Pub/Sub refuses are in {folder}"
        raise CheckFailed(why, "read them, and move them away")
    return "none"


def webhooks(settings: Settings, seconds: float) -> str:
    """Find webhooks that get nothing: without a key, switched off, or failing."""
    del seconds
    contracts = ContractsInForce.load(settings).current.tables
    receivers = read_receivers(settings.api_keys_file, contracts.values()).all()
    if not receivers:
        raise CheckSkipped("no API key and no contract names one")
    if settings.notify_key_file is None:
        why = f"{len(receivers)} are named, but NOTIFY_KEY_FILE is not set: they get nothing"
        raise CheckFailed(why, "set it, and run gatekeeper provision")
    check_private(settings.notify_key_file)
    with contextlib.closing(Outbox(outbox_file(settings))) as outbox:
        states = {each.url: each for each in outbox.receivers() if each.is_off or each.failures > 1}
    failing = [f"{each.kind} {each.name}" for each in receivers if each.url in states]
    if failing:
        why = f"switched off or failing: {', '.join(failing)} (gatekeeper notify list)"
        raise CheckFailed(why, "gatekeeper notify test NAME")
    return f"{len(receivers)} are named"


CHECKS: dict[str, Callable[[Settings, float], str]] = {
    "settings": settings_,
    "pushgateway": pushgateway,
    "disk": disk,
    "spool": spool,
    "clock": clock,
    "workers": workers,
    "contracts": contracts,
    "ledger days": ledger_days,
    "quarantine": quarantine,
    "api keys": api_keys,
    "webhooks": webhooks,
}
