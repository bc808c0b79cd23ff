"""Settings: one frozen object, read from the environment and `.env`, with all faults told at once.

Without `PROJECT_ID` the process is in local mode: the embedded services stand in for Google's, and
every address has a default on this machine. With it, Google's services are used unless one of
Google's own `*_EMULATOR_HOST` variables says otherwise.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import voluptuous as vol
from dotenv import dotenv_values

LOCAL_PROJECT = "gatekeeper-local"
LOCAL_DEFAULTS = {
    "PROJECT_ID": LOCAL_PROJECT,
    "DATASET_ID": "gatekeeper",
    "TOPIC_ID": "gatekeeper",
    "SUBSCRIPTION_ID": "gatekeeper-workers",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:8085",
    "BIGQUERY_EMULATOR_HOST": "127.0.0.1:9050",
}


class InvalidSettings(ValueError):
    """The settings cannot be used; the text names every fault: name, value, what was expected."""


def _matching(pattern: str, expected: str) -> Callable[[str], str]:
    match: Callable[[str], str] = vol.Match(pattern, msg=expected)
    return match


def _whole(low: int, high: int) -> Callable[[str], int]:
    expected = f"a whole number from {low:,} to {high:,}"

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise vol.Invalid(expected)
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    expected = f"a number of seconds from {low:g} to {high:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise vol.Invalid(expected) from None
        if not low <= value <= high:
            raise vol.Invalid(expected)
        return value

    return parse


def _address(text: str) -> str:
    """`host:port`, with or without `http://` before and `/` behind."""
    bare = text.removeprefix("http://").rstrip("/")
    host, _, port = bare.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) <= 65535 or "/" in bare:  # noqa: PLR2004
        raise vol.Invalid("host:port, for example 127.0.0.1:9091")
    return bare


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise vol.Invalid("a number above 0 and up to 1")
    return share


def _switch(text: str) -> bool:
    if text not in {"0", "1"}:
        raise vol.Invalid("0 or 1")
    return text == "1"


def _origins(text: str) -> tuple[str, ...]:
    """`https://console.example.com, http://127.0.0.1:3000`, or `*`."""
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s,]+", origin):
            raise vol.Invalid("origins such as https://console.example.com, separated by commas")
    return origins


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise vol.Invalid("the path of a file that exists")
    return Path(text)


_TOPIC = _matching(
    r"^(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,239}$", "a Pub/Sub name of 3 to 240 characters"
)

# Name → (what the text must be, its default; None: no default).
RULES: dict[str, tuple[Callable[[str], Any], str | None]] = {
    "GOOGLE_APPLICATION_CREDENTIALS": (_file, None),
    "PROJECT_ID": (
        _matching(r"^[a-z][a-z0-9.:-]{4,62}[a-z0-9]$", "a Google Cloud project id"),
        None,
    ),
    "DATASET_ID": (_matching(r"^[A-Za-z0-9_]{1,1024}$", "a BigQuery dataset's name"), None),
    "TOPIC_ID": (_TOPIC, None),
    "SUBSCRIPTION_ID": (_TOPIC, None),
    "PUSHGATEWAY_PROMETHEUS_HOST": (_address, "127.0.0.1:9091"),
    "PUBSUB_EMULATOR_HOST": (_address, None),
    "BIGQUERY_EMULATOR_HOST": (_address, None),
    "STATE_DIR": (Path, ".gatekeeper"),
    "BATCH_MAX_MESSAGES": (_whole(1, 10_000), "5000"),
    "BATCH_MAX_BYTES": (_whole(1_000, 8_000_000), "4000000"),
    "BATCH_MAX_SECONDS": (_seconds(0, 60), "1"),
    "MAX_BODY_BYTES": (_whole(100, 5_000_000), "1000000"),
    "MAX_IN_FLIGHT": (_whole(1, 100_000), "1000"),
    "MAX_IN_FLIGHT_BYTES": (_whole(5_000_000, 100_000_000_000), "200000000"),
    "SPOOL_MAX_BYTES": (_whole(0, 1_000_000_000_000), "1000000000"),
    "METRICS_PUSH_SECONDS": (_seconds(0.1, 300), "5"),
    "LEDGER_DAYS": (_whole(1, 3_650), "30"),
    "LEASE_SECONDS": (_whole(10, 600), "60"),
    "DEAD_LETTER_MAX_SHARE": (_share, "0.5"),
    "AUTOSCALE_TARGET_SECONDS": (_seconds(1, 86_400), None),
    "AUTOSCALE_MIN": (_whole(1, 99), "1"),
    "AUTOSCALE_MAX": (_whole(1, 99), "8"),
    "API_KEYS_FILE": (Path, None),
    "ALLOW_ANONYMOUS": (_switch, "0"),
    "CORS_ORIGINS": (_origins, ""),
    "LOG_LEVEL": (
        vol.In(["DEBUG", "INFO", "WARNING", "ERROR"], msg="DEBUG, INFO, WARNING or ERROR"),
        "INFO",
    ),
    "LOG_FORMAT": (vol.In(["json", "console"], msg="json or console"), "json"),
    "HOST": (_matching(r"^\S+$", "a host name or address"), "127.0.0.1"),
    "PORT": (_whole(1, 65_535), "8080"),
}
_NEEDED_IN_THE_CLOUD = ("DATASET_ID", "TOPIC_ID", "SUBSCRIPTION_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process may know of its surroundings.

    Sizes are in bytes, times in seconds, `ledger_days` in days; addresses are `host:port`.
    `lease_seconds` is both the subscription's acknowledgement deadline and the length of a lease.
    Without `autoscale_target_seconds` nothing is scaled but by hand.
    """

    local: bool
    google_application_credentials: Path | None
    project_id: str
    dataset_id: str
    topic_id: str
    subscription_id: str
    pushgateway_prometheus_host: str
    pubsub_emulator_host: str | None
    bigquery_emulator_host: str | None
    state_dir: Path
    batch_max_messages: int
    batch_max_bytes: int
    batch_max_seconds: float
    max_body_bytes: int
    max_in_flight: int
    max_in_flight_bytes: int
    spool_max_bytes: int
    metrics_push_seconds: float
    ledger_days: int
    lease_seconds: int
    dead_letter_max_share: float
    autoscale_target_seconds: float | None
    autoscale_min: int
    autoscale_max: int
    api_keys_file: Path | None
    allow_anonymous: bool
    cors_origins: tuple[str, ...]
    log_level: str
    log_format: str
    host: str
    port: int

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Self:
        """Read the environment over `.env` (by default the working directory's).

        Raises `InvalidSettings` that names every fault.
        """
        file = dotenv_values(dotenv or Path(".env"))
        given = {**file, **(os.environ if environ is None else environ)}
        return cls.parse({name: given[name] or "" for name in RULES if name in given})

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """Make settings of a mapping; an empty text is the same as none."""
        texts = {name: text.strip() for name, text in given.items() if text.strip()}
        local = "PROJECT_ID" not in texts
        texts = {**(LOCAL_DEFAULTS if local else {}), **texts}
        faults: list[str] = []
        values: dict[str, Any] = {}
        for name, (rule, default) in RULES.items():
            text = texts.get(name, default)
            try:
                values[name.lower()] = None if text is None else rule(text)
            except vol.Invalid as fault:
                faults.append(f"{name}={text!r}: expected {fault.msg}")
            if text is None and name in _NEEDED_IN_THE_CLOUD:
                faults.append(f"{name} is not set: it is needed when PROJECT_ID is")
        least, most = values.get("autoscale_min"), values.get("autoscale_max")
        if least and most and least > most:
            faults.append(f"AUTOSCALE_MIN='{least}': expected no more than AUTOSCALE_MAX, {most}")
        if faults:
            raise InvalidSettings("\n".join(faults))
        return cls(local=local, **values)

    @property
    def topic_path(self) -> str:
        """The topic that accepted transactions are published to."""
        return f"projects/{self.project_id}/topics/{self.topic_id}"

    @property
    def subscription_path(self) -> str:
        """The subscription that the workers share."""
        return f"projects/{self.project_id}/subscriptions/{self.subscription_id}"

    @property
    def dead_letter_topic_path(self) -> str:
        """Where a transaction goes that is rejected for good."""
        return f"{self.topic_path}-dead-letter"

    @property
    def dead_letter_subscription_path(self) -> str:
        """What the operator's dead-letter commands read."""
        return f"{self.subscription_path}-dead-letter"

    @property
    def dataset_path(self) -> str:
        """The dataset, as SQL and the client library name it."""
        return f"{self.project_id}.{self.dataset_id}"
