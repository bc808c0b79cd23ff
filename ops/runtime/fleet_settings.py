"""The settings of what one machine of a fleet runs, and of its name."""

import re
import socket
from dataclasses import dataclass

from ops.runtime.cloud_settings import CloudSettings
from ops.runtime.setting_declaration import setting
from ops.runtime.setting_rules import matching, seconds, switch, whole

MOST_PROCESSES = 99
"""Of one program on a machine: supervisord's names have two digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings(CloudSettings):
    """None for a number of processes is the `numprocs` of supervisord.conf."""

    instance: str = setting(
        matching(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", "up to 63 letters, digits, `.`, `_`, `-`"),
        "this machine's name in metrics, logs, the ledger and `gatekeeper status`, different on "
        "every machine; without it, the host name",
        example="web-1",
        section="What this machine runs (docs/deploy.md)",
    )
    servers: int | None = setting(
        whole(0, MOST_PROCESSES),
        "servers on this machine; without it, `numprocs` in supervisord.conf, which is 2. "
        "`supervisorctl scale server N` overrides it",
        example="2",
    )
    workers: int | None = setting(
        whole(0, MOST_PROCESSES),
        "workers on this machine, likewise; 0: the autoscaler adds none here either",
        example="2",
    )
    local: bool = setting(
        switch,
        "1: this machine runs the embedded services; 0 in local mode: those of another machine, at "
        "the addresses below",
        default="0",
        local_default="1",
    )
    autoscale_target_seconds: float | None = setting(
        seconds(1, 86_400),
        "add workers until the oldest unapplied message is younger than this; without it, "
        "only `supervisorctl scale worker N` changes their number",
        example="30",
        section="The number of workers",
    )
    autoscale_min: int = setting(
        whole(1, MOST_PROCESSES), "the least workers on a machine", default="1"
    )
    autoscale_max: int = setting(
        whole(1, MOST_PROCESSES), "the most workers on a machine", default="8"
    )


def host_name() -> str:
    """Return this machine's host name, in the characters of an INSTANCE."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:63] or "machine"
