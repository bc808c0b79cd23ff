"""The doctor's checks of BigQuery: dataset, ledger and permissions. They block."""

import contextlib

from google.api_core.exceptions import Forbidden, NotFound
from requests.exceptions import Timeout

from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.commands.doctor.pubsub_checks import PROVISION, grant
from ops.commands.failure import CommandFailed
from ops.commands.google_failure import one_line, unreachable_service
from ops.commands.provision import dataset as provisioning
from ops.commands.provision.lane_ddl import lane_tables
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE, REJECTED_TABLE, ledger_table


def check_dataset(settings: Settings, seconds: float) -> str:
    with contextlib.closing(clients.warehouse(settings)) as client:
        found = client.get_dataset(settings.dataset_path, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
    return f"{settings.dataset_path} in {found.location}"


def check_ledger(settings: Settings, seconds: float) -> str:
    with contextlib.closing(clients.warehouse(settings)) as client:
        found = client.list_tables(settings.dataset_path, retry=None, timeout=seconds)  # type: ignore[arg-type]  # None: never
        names = {each.table_id for each in found}
        lanes = map(lane_tables, range(settings.lanes))
        needed = {LEDGER_TABLE, REJECTED_TABLE}.union(*lanes)
        if missing := sorted(needed - names):
            raise CheckFailed(f"{settings.dataset_path} lacks {', '.join(missing[:5])}", PROVISION)
        try:
            provisioning.check_lane_count(client, settings)
        except CommandFailed as failure:  # its message ends with the remedy
            raise CheckFailed(str(failure)) from None
        if not provisioning.has_expiry(provisioning.first_lane(client, settings), settings):
            text = "tables have another expiry than LEDGER_DAYS and REJECTED_DAYS"
            raise CheckFailed(text, PROVISION)
    return (
        f"{settings.lanes} lanes, {settings.ledger_days} days; "
        f"rejected transactions {settings.rejected_days} days"
    )


def check_permissions(settings: Settings, seconds: float) -> str:
    """Dry-run a job that reads and writes the ledger."""
    if settings.bigquery_emulator_host:
        raise CheckSkipped("the local BigQuery has no permissions")
    sql = f"DELETE FROM `{settings.dataset_path}.{ledger_table(0)}` WHERE FALSE"  # noqa: S608  # names from the settings
    with contextlib.closing(clients.warehouse(settings)) as client:
        query(client, sql, timeout=seconds, dry_run=True, use_query_cache=False)
    return "jobs may run, the ledger may be read and written"


def explained(error: Exception, settings: Settings, seconds: float) -> CheckFailed:
    """Return the meaning of a call's error, with its remedy."""
    if isinstance(error, NotFound):
        return CheckFailed(one_line(error), PROVISION)
    if isinstance(error, Forbidden):
        editor = grant(settings, "roles/bigquery.dataEditor")
        return CheckFailed(one_line(error), f"{editor}, and roles/bigquery.jobUser")
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
