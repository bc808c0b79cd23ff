"""What `gatekeeper provision` is asked for beyond the settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ops.commands.failure import WrongUse

# https://cloud.google.com/bigquery/docs/labels-intro#requirements; Pub/Sub's are the same
_LABEL = re.compile(r"([a-z][a-z0-9_-]{0,62})=([a-z0-9_-]{0,63})")
_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionOptions:
    """What is not given is left as it is; in what is created, as Google sets it."""

    location: str | None = None
    """Of a new dataset."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Added to those of topics, subscriptions and dataset."""
    kms_key: str | None = None
    """The full name of a key of Cloud KMS, for new topics and a new dataset."""
    retention_days: int | None = None
    """How long the topic keeps everything, and the two subscriptions what is not acknowledged."""
    regions: tuple[str, ...] = ()
    """Where Pub/Sub may store messages."""
    dry_run: bool = False
    """Read only; changes are returned as planned."""


def parse_labels(text: str) -> dict[str, str]:
    """Parse `team=data,env=live`; raises WrongUse for what Google does not accept."""
    labels = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        if (found := _LABEL.fullmatch(part)) is None:
            raise WrongUse(
                f"--labels: {part!r} is no label: expected key=value of lower-case letters, "
                "digits, `_` and `-`, 63 characters each at most, the key starting with a letter"
            )
        labels[found[1]] = found[2]
    return labels


def check_key(name: str | None) -> str | None:
    """Return the name of a key; raises WrongUse for another text."""
    if name is not None and _KEY.fullmatch(name) is None:
        raise WrongUse(
            f"--kms-key: {name!r} is no key: expected "
            "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
        )
    return name
