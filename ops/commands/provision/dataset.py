"""The dataset and the ledger's table: created, compared with what is needed, updated."""

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from ops.commands.failure import CommandFailed
from ops.commands.provision.change import Change
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE
from workers.ledger import LEDGER_SCHEMA

TIMEOUT_SECONDS = 30.0
_DAY_MILLISECONDS = 24 * 3600 * 1000
# Standard SQL's names and the older ones that the API still answers with.
_SAME_TYPE = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def ensure(settings: Settings, location: str | None = None) -> list[Change]:
    """Make the dataset and the ledger what they must be; return what was done.

    Raises `CommandFailed` for an existing ledger that cannot be mended, and what the client raises.
    """
    client = clients.warehouse(settings)
    try:
        return [
            _ensure_dataset(client, settings, location),
            _ensure_ledger(client, settings),
        ]
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _ensure_dataset(client: bigquery.Client, settings: Settings, location: str | None) -> Change:
    name = settings.dataset_path
    try:
        found = client.get_dataset(name, timeout=TIMEOUT_SECONDS)
    except NotFound:
        dataset = bigquery.Dataset(name)
        dataset.location = location
        client.create_dataset(dataset, exists_ok=True, timeout=TIMEOUT_SECONDS)
        return Change("dataset", name, "created")
    if location and found.location.upper() != location.upper():
        raise CommandFailed(
            f"dataset {name} is in {found.location}, not {location}: a dataset cannot move; "
            "leave --location out, or choose another DATASET_ID"
        )
    return Change("dataset", name, "already there")


def ledger_table(settings: Settings) -> bigquery.Table:
    """Return the ledger as it must be: a partition a day, each gone after LEDGER_DAYS."""
    table = bigquery.Table(f"{settings.dataset_path}.{LEDGER_TABLE}", schema=LEDGER_SCHEMA)
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.DAY,
        field="settled_at",
        expiration_ms=settings.ledger_days * _DAY_MILLISECONDS,
    )
    table.clustering_fields = ["id"]
    table.description = "How every transaction was settled. Written by Gatekeeper's workers alone."
    return table


def _ensure_ledger(client: bigquery.Client, settings: Settings) -> Change:
    wanted = ledger_table(settings)
    name = str(wanted.reference)
    try:
        found = client.get_table(wanted.reference, timeout=TIMEOUT_SECONDS)
    except NotFound:
        client.create_table(wanted, exists_ok=True, timeout=TIMEOUT_SECONDS)
        return Change("ledger", name, "created")
    # The embedded warehouse keeps columns alone: no partitions, nothing that expires.
    partitioned = settings.bigquery_emulator_host is None
    check(found, wanted, partitioned=partitioned)
    if not (fields := _bring_up_to_date(found, wanted, partitioned=partitioned)):
        return Change("ledger", name, "already there")
    client.update_table(found, fields, timeout=TIMEOUT_SECONDS)
    return Change("ledger", name, "updated", ", ".join(fields))


def check(found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool) -> None:
    """Raise `CommandFailed` with the remedy for what an existing ledger can never become."""
    name = str(wanted.reference)
    remedy = (
        f"rename it (`ALTER TABLE {LEDGER_TABLE} RENAME TO …`) with the workers stopped, and run "
        "`gatekeeper provision` again"
    )
    types = {field.name: _canonical(field.field_type) for field in found.schema}
    for field in wanted.schema:
        has = types.get(field.name)
        if has not in {None, _canonical(field.field_type)}:
            raise CommandFailed(
                f"ledger {name}: column {field.name} is {has}, not {field.field_type}: {remedy}"
            )
    partitioning = found.time_partitioning
    if partitioned and (partitioning is None or partitioning.field != "settled_at"):
        raise CommandFailed(f"ledger {name} is not partitioned by settled_at: {remedy}")


def _bring_up_to_date(
    found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool
) -> list[str]:
    """Change `found` where it can be changed; return the names of the fields that were."""
    fields = []
    names = {field.name for field in found.schema}
    if missing := [field for field in wanted.schema if field.name not in names]:
        # A column added later is NULLABLE: rows written before it have no value.
        found.schema = [
            *found.schema,
            *(
                bigquery.SchemaField(field.name, field.field_type, description=field.description)
                for field in missing
            ),
        ]
        fields.append("schema")
    days = wanted.time_partitioning.expiration_ms
    if partitioned and found.time_partitioning.expiration_ms != days:
        found.time_partitioning = wanted.time_partitioning
        fields.append("time_partitioning")
    return fields


def _canonical(kind: str) -> str:
    return _SAME_TYPE.get(kind.upper(), kind.upper())
