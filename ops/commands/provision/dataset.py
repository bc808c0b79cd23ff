"""Creates or updates the dataset and the ledger's table."""

import contextlib

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from ops.commands.failure import CommandFailed
from ops.commands.provision.change import Change
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE
from workers.ledger import LEDGER_SCHEMA

CALL_SECONDS = 30.0
_DAY_MILLISECONDS = 24 * 3600 * 1000
# Standard SQL's names and the legacy names in the API's answers.
_SAME_TYPE = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def ensure(settings: Settings, location: str | None = None) -> list[Change]:
    """Create or update the dataset and the ledger; return the changes.

    Raises `CommandFailed` for an existing ledger that cannot be updated, and the client's errors.
    """
    with contextlib.closing(clients.warehouse(settings)) as client:
        return [_ensure_dataset(client, settings, location), _ensure_ledger(client, settings)]


def _ensure_dataset(client: bigquery.Client, settings: Settings, location: str | None) -> Change:
    name = settings.dataset_path
    try:
        found = client.get_dataset(name, timeout=CALL_SECONDS)
    except NotFound:
        dataset = bigquery.Dataset(name)
        dataset.location = location
        client.create_dataset(dataset, exists_ok=True, timeout=CALL_SECONDS)
        return Change("dataset", name, "created")
    if location and found.location.upper() != location.upper():
        raise CommandFailed(
            f"dataset {name} is in {found.location}, not {location}: a dataset cannot move; "
            "leave --location out, or choose another DATASET_ID"
        )
    return Change("dataset", name, "already there")


def ledger_table(settings: Settings) -> bigquery.Table:
    """Return the ledger that the workers need: daily partitions that expire after LEDGER_DAYS."""
    table = bigquery.Table(f"{settings.dataset_path}.{LEDGER_TABLE}", schema=LEDGER_SCHEMA)
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.DAY,
        field="settled_at",
        expiration_ms=settings.ledger_days * _DAY_MILLISECONDS,
    )
    table.clustering_fields = ["id"]
    table.description = "How every transaction was settled. Only Gatekeeper's workers write to it."
    return table


def _ensure_ledger(client: bigquery.Client, settings: Settings) -> Change:
    wanted = ledger_table(settings)
    name = str(wanted.reference)
    try:
        found = client.get_table(wanted.reference, timeout=CALL_SECONDS)
    except NotFound:
        client.create_table(wanted, exists_ok=True, timeout=CALL_SECONDS)
        return Change("ledger", name, "created")
    # The embedded BigQuery has no partitions and no expiry.
    partitioned = settings.bigquery_emulator_host is None
    check_fixed_fields(found, wanted, partitioned=partitioned)
    if not (fields := _update_fields(found, wanted, partitioned=partitioned)):
        return Change("ledger", name, "already there")
    client.update_table(found, fields, timeout=CALL_SECONDS)
    return Change("ledger", name, "updated", ", ".join(fields))


def check_fixed_fields(found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool) -> None:
    """Raise `CommandFailed` with the remedy if a field differs that no update can change."""
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


def _update_fields(
    found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool
) -> list[str]:
    """Change `found` to match; return the names of the changed fields."""
    fields = []
    names = {field.name for field in found.schema}
    if missing := [field for field in wanted.schema if field.name not in names]:
        # An added column is NULLABLE: earlier rows have no value.
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
