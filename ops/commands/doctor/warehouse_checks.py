"""The doctor's checks of BigQuery: dataset, ledger and permissions. They block."""

import contextlib

from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import bigquery
from requests.exceptions import Timeout

from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.commands.doctor.pubsub_checks import PROVISION, grant
from ops.commands.failure import CommandFailed
from ops.commands.google_failure import one_line, unreachable_service
from ops.commands.provision import dataset as provisioning
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE


def check_dataset(settings: Settings, seconds: float) -> str:
    with contextlib.closing(clients.warehouse(settings)) as client:
        found = client.get_dataset(settings.dataset_path, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
    return f"{settings.dataset_path} in {found.location}"


def check_ledger(settings: Settings, seconds: float) -> str:
    wanted = provisioning.ledger_table(settings)
    with contextlib.closing(clients.warehouse(settings)) as client:
        found = client.get_table(wanted.reference, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
    # The embedded BigQuery has no partitions and no expiry.
    check_ledger_table(found, wanted, partitioned=settings.bigquery_emulator_host is None)
    return f"{wanted.reference}, {settings.ledger_days} days"


def check_ledger_table(found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool) -> None:
    """Raise `CheckFailed` if the ledger differs from what the workers need. Pure."""
    try:
        provisioning.check_fixed_fields(found, wanted, partitioned=partitioned)
    except CommandFailed as failure:  # its message ends with the remedy
        raise CheckFailed(str(failure)) from None
    names = {field.name for field in found.schema}
    if missing := [field.name for field in wanted.schema if field.name not in names]:
        raise CheckFailed(f"ledger {wanted.reference} lacks {', '.join(missing)}", PROVISION)
    expiry = wanted.time_partitioning.expiration_ms
    if partitioned and found.time_partitioning.expiration_ms != expiry:
        raise CheckFailed(
            f"ledger {wanted.reference} has another expiry than LEDGER_DAYS", PROVISION
        )


def check_permissions(settings: Settings, seconds: float) -> str:
    """Dry-run a job that reads and writes the ledger."""
    if settings.bigquery_emulator_host:
        raise CheckSkipped("the local BigQuery has no permissions")
    sql = f"DELETE FROM `{settings.dataset_path}.{LEDGER_TABLE}` WHERE FALSE"  # noqa: S608  # names from the settings
    with contextlib.closing(clients.warehouse(settings)) as client:
        query(client, sql, timeout=seconds, dry_run=True, use_query_cache=False)
    return "jobs may run, the ledger may be read and written"


def explained(error: Exception, settings: Settings, seconds: float) -> CheckFailed:
    """Return the meaning of a call's error, with its remedy."""
    if isinstance(error, NotFound):
        return CheckFailed(str(error.message), PROVISION)
    if isinstance(error, Forbidden):
        editor = grant(settings, "roles/bigquery.dataEditor")
        return CheckFailed(str(error.message), f"{editor}, and roles/bigquery.jobUser")
    if isinstance(error, Timeout):
        where = settings.bigquery_emulator_host or "bigquery.googleapis.com"
        detail = f"BigQuery at {where} has not answered within {seconds:g} s"
    else:
        detail = unreachable_service(error, settings) or one_line(error)
    return CheckFailed(detail, "ops/up" if settings.local else "")


CHECKS = {
    "dataset": check_dataset,
    "ledger": check_ledger,
    "BigQuery permissions": check_permissions,
}
