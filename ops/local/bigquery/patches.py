"""All changes to local-bigquery 0.3.2, in order. They are for that exact version, checked here."""

import importlib.metadata
import importlib.util
import sys

from ops.local.bigquery import (
    alterations,
    assignments,
    catalog_lookups,
    confinement,
    error_patches,
    extensions,
    job_patches,
    native_merge,
    partition_expiration,
    plain_statements,
    sql_patches,
    table_creation,
    table_names,
    tree_walks,
)
from ops.local.bigquery.maintenance_lock import MaintenanceLock

VERSION = "0.3.2"
# DuckDB tries to import these at every statement; without pandas and polars installed that is
# hundreds of look-ups on disk for one transaction.
_OPTIONAL_MODULES = ("pandas", "polars", "ipywidgets", "torch", "tensorflow")


class WrongVersion(RuntimeError):
    """Another version of local-bigquery is installed than these changes are made for."""


def apply(lock: MaintenanceLock, version: str = VERSION) -> None:
    """Change the imported local_bigquery; call it once, before the database is opened."""
    installed = importlib.metadata.version("local-bigquery")
    if installed != version:
        raise WrongVersion(f"local-bigquery {version} is needed, {installed} is installed")
    mark_absent_modules()
    extensions.skip_signatures()
    tree_walks.use()
    job_patches.apply(lock)
    error_patches.apply()
    sql_patches.apply()
    native_merge.use()
    catalog_lookups.use()
    alterations.apply()
    partition_expiration.apply()
    assignments.apply()
    confinement.apply()
    table_names.apply()
    table_creation.apply()
    plain_statements.apply()


def mark_absent_modules() -> None:
    """Make an import of a missing optional module fail fast: a tenth of each transaction's time."""
    for name in _OPTIONAL_MODULES:
        if importlib.util.find_spec(name) is None:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]
