"""The doctor's checks of BigQuery: dataset, ledger, and what we may do. They block."""

from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import bigquery
from requests.exceptions import Timeout

from ops.commands.doctor.finding import Skipped, Wrong
from ops.commands.doctor.pubsub_checks import PROVISION, grant
from ops.commands.failure import CommandFailed, hint, warehouse_failure
from ops.commands.provision import dataset as provision_warehouse
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE


def dataset(settings: Settings, seconds: float) -> str:
    """Look at the dataset."""
    client = clients.warehouse(settings)
    try:
        found = client.get_dataset(settings.dataset_path, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return f"{settings.dataset_path} in {found.location}"


def ledger(settings: Settings, seconds: float) -> str:
    """Look at the ledger's columns, partitions and their expiry."""
    wanted = provision_warehouse.ledger_table(settings)
    client = clients.warehouse(settings)
    try:
        found = client.get_table(wanted.reference, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
    finally:
        client.close()  # type: ignore[no-untyped-call]
    # The embedded warehouse keeps columns alone: no partitions, nothing that expires.
    judge(found, wanted, partitioned=settings.bigquery_emulator_host is None)
    return f"{wanted.reference}, {settings.ledger_days} days"


def judge(found: bigquery.Table, wanted: bigquery.Table, *, partitioned: bool) -> None:
    """Raise `Wrong` for a ledger that is not what it must be. Pure."""
    try:
        provision_warehouse.check(found, wanted, partitioned=partitioned)
    except CommandFailed as failure:  # its text ends with the remedy
        raise Wrong(str(failure)) from None
    names = {field.name for field in found.schema}
    if missing := [field.name for field in wanted.schema if field.name not in names]:
        raise Wrong(f"ledger {wanted.reference} lacks {', '.join(missing)}", PROVISION)
    expiry = wanted.time_partitioning.expiration_ms
    if partitioned and found.time_partitioning.expiration_ms != expiry:
        raise Wrong(f"ledger {wanted.reference} does not expire as LEDGER_DAYS says", PROVISION)


def permissions(settings: Settings, seconds: float) -> str:
    """Have BigQuery plan a job that reads and writes the ledger, without running it."""
    if settings.bigquery_emulator_host:
        raise Skipped("the local BigQuery asks for none")
    client = clients.warehouse(settings)
    sql = f"DELETE FROM `{settings.dataset_path}.{LEDGER_TABLE}` WHERE FALSE"  # noqa: S608  # names of the settings
    try:
        query(client, sql, timeout=seconds, dry_run=True, use_query_cache=False)
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return "jobs may run, the ledger may be read and written"


def explained(error: Exception, settings: Settings, seconds: float) -> Wrong:
    """Return what a call's error means, with its remedy."""
    if isinstance(error, NotFound):
        return Wrong(str(error.message), PROVISION)
    if isinstance(error, Forbidden):
        editor = grant(settings, "roles/bigquery.dataEditor")
        return Wrong(str(error.message), f"{editor}, and roles/bigquery.jobUser")
    if isinstance(error, Timeout):
        where = settings.bigquery_emulator_host or "bigquery.googleapis.com"
        detail = f"BigQuery at {where} has not answered within {seconds:g} s"
    else:
        detail = str(warehouse_failure(error, settings)).removesuffix(hint(settings))
    return Wrong(detail, "ops/up" if settings.local else "")
