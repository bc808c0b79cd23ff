"""Creates or updates the dataset, the tables of the lanes, and the views over them."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from ops.commands.failure import CommandFailed
from ops.commands.provision.change import Change
from ops.commands.provision.lane_ddl import (
    expiring_tables,
    expiry_ddl,
    lane_ddl,
    lane_tables,
    missing_columns_ddl,
    views_ddl,
)
from ops.commands.provision.provision_options import ProvisionOptions
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_LABEL, LEDGER_TABLE, LEDGER_VERSION, head_table

CALL_SECONDS = 30.0
SCRIPT_SECONDS = 600.0
"""For three tables a lane, one after the other."""
_DAY_MILLISECONDS = 24 * 3600 * 1000
_DEFAULTS: Final = ProvisionOptions()


def ensure(settings: Settings, options: ProvisionOptions = _DEFAULTS) -> list[Change]:
    """Create or update the dataset and its lanes; return the changes.

    Raises `CommandFailed` for what exists and cannot be updated, and the client's errors.
    """
    with contextlib.closing(clients.warehouse(settings)) as client:
        first = _ensure_dataset(client, settings, options)
        missing = options.dry_run and first.outcome == "created"
        found = {} if missing else _existing_tables(client, settings)
        lanes = _ensure_lanes(client, settings, found, dry_run=options.dry_run)
        views = _ensure_views(
            client, settings, found, replace=lanes.outcome == "updated", dry_run=options.dry_run
        )
        changes = [first, lanes, *views]
        if not options.dry_run:
            _note_version(client, settings)
    return [change._replace(planned=options.dry_run) for change in changes]


def _ensure_dataset(
    client: bigquery.Client, settings: Settings, options: ProvisionOptions
) -> Change:
    name = settings.dataset_path
    try:
        found = client.get_dataset(name, timeout=CALL_SECONDS)
    except NotFound:
        if not options.dry_run:
            wanted = wanted_dataset(name, options)
            client.create_dataset(wanted, exists_ok=True, timeout=CALL_SECONDS)
        return Change("dataset", name, "created")
    check_version(found)
    check_fixed_properties(found, options)
    if options.labels.items() <= found.labels.items():
        return Change("dataset", name, "already there")
    if not options.dry_run:
        found.labels = {**found.labels, **options.labels}
        client.update_dataset(found, ["labels"], timeout=CALL_SECONDS)
    return Change("dataset", name, "updated", "labels")


def wanted_dataset(name: str, options: ProvisionOptions) -> bigquery.Dataset:
    """Return a dataset as it is created."""
    dataset = bigquery.Dataset(name)
    dataset.location = options.location
    dataset.labels = dict(options.labels)
    if options.kms_key:
        key = bigquery.EncryptionConfiguration(kms_key_name=options.kms_key)
        dataset.default_encryption_configuration = key
    return dataset


def check_version(found: bigquery.Dataset) -> None:
    """Raise `CommandFailed` if a later version has changed the ledger."""
    version = found.labels.get(LEDGER_LABEL, "0")
    if int(version) > LEDGER_VERSION:
        raise CommandFailed(
            f"the ledger in {found.project}.{found.dataset_id} has version {version} and this "
            f"Gatekeeper knows {LEDGER_VERSION}: run the version that provisioned it, or a later"
        )


def _note_version(client: bigquery.Client, settings: Settings) -> None:
    """Write the ledger's version into the dataset's labels, after the tables are so."""
    found = client.get_dataset(settings.dataset_path, timeout=CALL_SECONDS)
    if found.labels.get(LEDGER_LABEL) != str(LEDGER_VERSION):
        found.labels = {**found.labels, LEDGER_LABEL: str(LEDGER_VERSION)}
        client.update_dataset(found, ["labels"], timeout=CALL_SECONDS)


def check_fixed_properties(found: bigquery.Dataset, options: ProvisionOptions) -> None:
    """Raise `CommandFailed` with the remedy if a dataset has another location or another key."""
    name = f"{found.project}.{found.dataset_id}"
    if options.location and found.location.upper() != options.location.upper():
        raise CommandFailed(
            f"dataset {name} is in {found.location}, not {options.location}: a dataset cannot "
            "move; leave --location out, or choose another DATASET_ID"
        )
    config = found.default_encryption_configuration
    key = config.kms_key_name if config else None
    if options.kms_key and key != options.kms_key:
        raise CommandFailed(
            f"dataset {name} is encrypted with {key or 'a key of Google'}: its tables would keep "
            "that; leave --kms-key out, or choose another DATASET_ID"
        )


def _ensure_lanes(
    client: bigquery.Client, settings: Settings, found: Mapping[str, str], *, dry_run: bool
) -> Change:
    what = f"{settings.lanes} lanes in {settings.dataset_path}"
    if head_table(0) in found:
        check_lane_count(client, settings)
    incomplete = [lane for lane in range(settings.lanes) if not lane_tables(lane) <= found.keys()]
    if incomplete:
        script = "\n".join(lane_ddl(settings, lane) for lane in incomplete)
        _run(client, script, dry_run=dry_run)
        return Change("ledger", what, "created")
    tables = first_lane(client, settings)
    columns = {each.table_id: {field.name for field in each.schema} for each in tables}
    script, missing = missing_columns_ddl(settings, columns)
    changes = [f"new columns: {', '.join(missing)}"] if missing else []
    if not has_expiry(tables, settings):
        script += expiry_ddl(settings)
        changes.append("the expiry of its partitions")
    if not changes:
        return Change("ledger", what, "already there")
    _run(client, script, dry_run=dry_run)
    return Change("ledger", what, "updated", "; ".join(changes))


def first_lane(client: bigquery.Client, settings: Settings) -> list[bigquery.Table]:
    """Read the first lane's tables whose partitions expire; those of the other lanes are alike."""
    return [
        client.get_table(f"{settings.dataset_path}.{table}", timeout=CALL_SECONDS)
        for table, _ in expiring_tables(settings, 0)
    ]


def _run(client: bigquery.Client, script: str, *, dry_run: bool) -> None:
    if not dry_run:
        query(client, script, timeout=SCRIPT_SECONDS)


def _existing_tables(client: bigquery.Client, settings: Settings) -> dict[str, str]:
    """Return the type of each of the dataset's own tables and views, by name."""
    found = client.list_tables(settings.dataset_path, timeout=CALL_SECONDS)
    return {x.table_id: x.table_type for x in found if x.table_id.startswith("gatekeeper_")}


def check_lane_count(client: bigquery.Client, settings: Settings) -> None:
    """Raise `CommandFailed` when the dataset was provisioned with another LANES."""
    head = f"`{settings.dataset_path}.{head_table(0)}`"
    rows = list(query(client, f"SELECT lanes FROM {head}", timeout=CALL_SECONDS))  # noqa: S608  # our own names
    lanes = rows[0]["lanes"] if rows else None
    if lanes != settings.lanes:
        raise CommandFailed(
            f"{settings.dataset_path} has {lanes} lanes and LANES is {settings.lanes}: the number "
            "is fixed when a dataset is provisioned; "
            f"set LANES={lanes}, or choose another DATASET_ID"
        )


def has_expiry(tables: Sequence[bigquery.Table], settings: Settings) -> bool:
    """Whether the partitions of the first lane's tables expire after the settings' days.

    The embedded BigQuery has no partitions.
    """
    if settings.bigquery_emulator_host is not None:
        return True
    return all(
        table.time_partitioning
        and table.time_partitioning.expiration_ms == days * _DAY_MILLISECONDS
        for table, (_, days) in zip(tables, expiring_tables(settings, 0), strict=True)
    )


def _ensure_views(
    client: bigquery.Client,
    settings: Settings,
    found: Mapping[str, str],
    *,
    replace: bool,
    dry_run: bool,
) -> list[Change]:
    changes = []
    for view, ddl in views_ddl(settings).items():
        name = f"{settings.dataset_path}.{view}"
        if found.get(view, "VIEW") != "VIEW":  # only the ledger was a table once
            raise CommandFailed(
                f"{name} is the ledger of version 1: stop its workers, let its subscription run "
                f"empty, rename it (`ALTER TABLE {LEDGER_TABLE} RENAME TO gatekeeper_ledger_v1`), "
                "and run `gatekeeper provision` again"
            )
        if view not in found or replace:
            _run(client, ddl, dry_run=dry_run)
        changes.append(Change("view", name, "already there" if view in found else "created"))
    return changes
