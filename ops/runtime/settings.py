"""Settings: one frozen object, read from the environment and `.env`; all faults are listed.

Each setting is declared once, as a field of `Settings`. `.env.example` and the table in README.md
are generated from it: run `python -m ops.runtime.settings_documents` after a change.

Without `PROJECT_ID` a process is in local mode: it uses the embedded services, and every address
has a default on this machine. With `PROJECT_ID` it uses Google's services, unless one of Google's
own `*_EMULATOR_HOST` variables is set.
"""

# ruff: noqa: RUF009  # `setting` returns a dataclasses.field

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Self

from ops.runtime.fleet_files import find_dotenv
from ops.runtime.fleet_settings import FleetSettings, host_name
from ops.runtime.given_settings import read_given
from ops.runtime.setting_declaration import Declaration, parse_texts, setting
from ops.runtime.setting_rules import (
    address,
    key_file,
    matching,
    one_of,
    origins,
    seconds,
    share,
    switch,
    whole,
)
from schema import LANES, MAX_LANES
from schema.contracts import UnknownTables


class InvalidSettings(ValueError):
    """The settings cannot be used; the text lists every fault: name, value, what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(FleetSettings):
    """Sizes are in bytes, times in seconds, addresses are `host:port`."""

    pushgateway_prometheus_host: str | None = setting(
        address,
        "host:port of the Pushgateway, which listens there in local mode; without it, nothing is "
        "pushed",
        local_default="127.0.0.1:9091",
        section="Services: a second clone needs other ports here and in supervisord.conf",
    )
    pubsub_emulator_host: str | None = setting(
        address,
        "host:port of the embedded Pub/Sub; not set in the cloud",
        local_default="127.0.0.1:8085",
    )
    bigquery_emulator_host: str | None = setting(
        address,
        "host:port of the embedded BigQuery; not set in the cloud",
        local_default="127.0.0.1:9050",
    )
    state_dir: Path = setting(
        Path,
        "a directory on a local disk, kept across restarts: the servers' spool and the files "
        "of the embedded services",
        default=".gatekeeper",
    )
    batch_max_messages: int = setting(
        whole(1, 10_000),
        "a batch is closed at this number of transactions",
        default="5000",
        section="A batch is closed by whichever limit it reaches first",
    )
    batch_max_bytes: int = setting(
        whole(1_000, 8_000_000), "… or at this number of bytes of their bodies", default="4000000"
    )
    batch_max_seconds: float = setting(
        seconds(0, 3_600),
        "… or this many seconds after its first transaction, if that is before FRESHNESS_SECONDS",
        default="3600",
    )
    freshness_seconds: float = setting(
        seconds(0, 3_600),
        "seconds that a lane's batch waits for more transactions: each statement has its price in "
        "BigQuery, however few rows it has",
        default="10",
        local_default="1",
    )
    warehouse_jobs: int = setting(
        whole(1, 256),
        "BigQuery jobs that a worker runs side by side, one a lane",
        default="16",
        local_default="4",
    )
    lanes: int = setting(
        whole(1, MAX_LANES),
        "lanes that transactions are spread over; fixed when the dataset is provisioned",
        default=str(LANES),
    )
    maximum_bytes_billed: int | None = setting(
        whole(10_000_000, 10**15),
        "bytes that BigQuery may bill for one job; a job above it is split, or rejected as "
        "`too_large`",
        example="1000000000000",
    )
    idempotency_hours: int = setting(
        whole(1, 720), "hours that an Idempotency-Key is remembered", default="24"
    )
    lease_seconds: int = setting(
        whole(10, 600),
        "acknowledgement deadline and lease, 10 to 600 s: the messages of a killed worker return "
        "after it; run `gatekeeper provision` after a change",
        default="60",
        section="Limits and periods",
    )
    max_body_bytes: int = setting(
        whole(100, 5_000_000), "bytes of a request, also after decompression", default="1000000"
    )
    max_in_flight: int = setting(
        whole(1, 100_000),
        "requests in progress in one server; beyond it 503 with `Retry-After`",
        default="1000",
    )
    max_in_flight_bytes: int = setting(
        whole(5_000_000, 100_000_000_000),
        "bytes of their bodies in the memory of one server; beyond it 503",
        default="200000000",
    )
    ndjson_max_bytes: int = setting(
        whole(1_000, 100_000_000_000),
        "bytes of a batch (NDJSON), also after decompression",
        default="1000000000",
    )
    ndjson_max_lines: int = setting(
        whole(1, 100_000_000), "lines of a batch, blank ones included", default="1000000"
    )
    keep_alive_seconds: float = setting(
        seconds(1, 86_400),
        "how long a server keeps an idle connection; it must be longer than the load balancer "
        "does (Google's: 600 s)",
        default="620",
    )
    spool_max_bytes: int = setting(
        whole(0, 1_000_000_000_000),
        "bytes of transactions that wait on the servers' disk while Pub/Sub cannot be reached; "
        "0: none, answer 503",
        default="1000000000",
    )
    idempotency_store: str | None = setting(
        matching(r"^rediss?://\S+$", "redis://host:port/database"),
        "a Redis for the Idempotency-Keys of servers on several machines; without it, the servers "
        "of one machine share a file in STATE_DIR",
        example="redis://10.0.0.5:6379/0",
    )
    metrics_push_seconds: float = setting(
        seconds(0.1, 300), "seconds between two metric pushes of a process", default="5"
    )
    metrics_port: int = setting(
        whole(0, 65_535),
        "one page with the metrics of all processes of this machine, `/metrics`, is at this port; "
        "0: no page",
        default="0",
    )
    metrics_host: str = setting(
        matching(r"^\S+$", "a host name or address"), "its address", default="127.0.0.1"
    )
    ledger_days: int = setting(whole(1, 3_650), "days that the ledger keeps an id", default="30")
    rejected_days: int = setting(
        whole(1, 3_650), "days that rejected transactions are kept, with their bodies", default="90"
    )
    dead_letter_max_share: float = setting(
        share,
        "circuit breaker: a worker stops when it would reject more than this share of its last "
        "1,000 transactions (once 100 are rejected), since the setup is then probably wrong; "
        "1 disables it",
        default="0.5",
    )
    contracts_dir: Path = setting(
        Path,
        "the folder of the tables' contracts, YAML files in the Open Data Contract Standard "
        "(docs/contracts.md); changes are in force within two seconds",
        default="contracts",
        section="Contracts",
    )
    unknown_tables: str = setting(
        one_of(*UnknownTables),
        "what is done with a transaction on a table without a contract: `evolve` accepts it, "
        "`report` accepts and lists it, `refuse` answers 400",
        default="evolve",
    )
    api_keys_file: Path | None = setting(
        Path,
        "the API keys; without it a server listens on loopback addresses only",
        example="/path/to/api-keys",
        section="Access",
    )
    message_key_file: Path | None = setting(
        key_file,
        "32 random bytes or more, the same file for servers and workers: messages are signed with "
        "it, and only signed ones may use the ids of Idempotency-Keys",
        example="/path/to/message-key",
    )
    column_key_file: Path | None = setting(
        key_file,
        "32 random bytes or more, the same file for all servers, kept for as long as the tables: "
        "columns with `gatekeeper.transform: hash` in their contract are hashed with it; local "
        "mode makes one in STATE_DIR",
        example="/path/to/column-key",
    )
    notify_key_file: Path | None = setting(
        key_file,
        "32 random bytes or more: rejections go to the webhooks that API keys and contracts name, "
        "signed with secrets made from it; run `gatekeeper provision` after setting it",
        example="/path/to/notify-key",
    )
    notify_private_addresses: bool = setting(
        switch, "1: webhooks may reach private addresses too", default="0"
    )
    allow_anonymous: bool = setting(
        switch, "1: listen on other addresses without API keys", default="0"
    )
    cors_origins: tuple[str, ...] = setting(
        origins, "origins whose pages may call the API, separated by commas", default=""
    )
    log_level: str = setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "`DEBUG`, `INFO`, `WARNING` or `ERROR`",
        default="INFO",
        section="Logs",
    )
    log_format: str = setting(
        one_of("json", "gcp", "console"),
        "`json`; `gcp` with the names of Google's Cloud Logging; or `console` for people",
        default="json",
    )
    otel_exporter_otlp_endpoint: str | None = setting(
        matching(r"^https?://\S+$", "an http or https URL"),
        "the URL of an OpenTelemetry collector (OTLP over HTTP), without `/v1/traces`; without it, "
        "nothing is traced",
        example="http://127.0.0.1:4318",
        section="Traces: the other OTEL_* variables are read from the environment",
    )
    host: str = setting(
        matching(r"^\S+$", "a host name or address"),
        "the address of a server started with `python -m server`",
        default="127.0.0.1",
        section="A server without supervisord",
    )
    port: int = setting(whole(1, 65_535), "its port", default="8080")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Self:
        """Read the environment over `.env` (ops.runtime.fleet_files finds it).

        Raises `InvalidSettings`, which lists every fault.
        """
        environ = os.environ if environ is None else environ
        return cls.parse(*read_given(DECLARATIONS, environ, dotenv or find_dotenv(environ)))

    @classmethod
    def parse(
        cls,
        given: Mapping[str, str],
        places: Mapping[str, str] = MappingProxyType({}),
        found: Sequence[str] = (),
    ) -> Self:
        """Make settings from a mapping; an empty text is the same as no text.

        `places` has the start of a fault's text by name; `found` are faults found before.
        """
        texts = {name: text.strip() for name, text in given.items() if text.strip()}
        cloud = "PROJECT_ID" in texts
        values, invalid = parse_texts(DECLARATIONS, texts, places, local=not cloud)
        faults = [*found, *invalid]
        values["instance"] = values.get("instance") or host_name()
        if cloud and values.get("local"):
            faults.append("LOCAL='1': expected 0 where PROJECT_ID is set")
        least, most = values.get("autoscale_min"), values.get("autoscale_max")
        if least and most and least > most:
            faults.append(f"AUTOSCALE_MIN='{least}': expected no more than AUTOSCALE_MAX, {most}")
        body, total = values.get("max_body_bytes"), values.get("max_in_flight_bytes")
        if body and total and total < 2 * body:  # one client holds at most half
            faults.append(f"MAX_IN_FLIGHT_BYTES='{total}': expected twice MAX_BODY_BYTES or more")
        if faults:
            raise InvalidSettings("\n".join(faults))
        return cls(cloud=cloud, **values)


DECLARATIONS: Mapping[str, Declaration] = {
    each.name.upper(): each.metadata["declaration"]
    for each in fields(Settings)
    if "declaration" in each.metadata
}
"""By the name in the environment, in the order of the documents."""
