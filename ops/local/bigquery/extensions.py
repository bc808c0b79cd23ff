"""DuckDB's extensions, installed from their PyPI packages so that none is ever downloaded.

DuckDB checks an extension's signature whenever a database loads it: for these files, 140 MB, that
took a second of each start. pip has checked the packages' hashes, so they are loaded without it.
Nothing else can be loaded: `confinement.lock` ends that before the first statement of a client.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import duckdb_extensions
from local_bigquery.engine import database

NAMES = ("icu", "ducklake", "spatial")


def connect(config: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
    """Open a new database in memory that loads extensions without a check of their signatures."""
    return duckdb.connect(config={"allow_unsigned_extensions": True, **(config or {})})


def skip_signatures() -> None:
    """Let local-bigquery's databases load the extensions so."""
    database.duckdb = SimpleNamespace(connect=connect)


def install(fallback_home: Path) -> None:
    """Install every extension; raise `duckdb.Error` or `ImportError` if one cannot be loaded.

    DuckDB loads from `$HOME/.duckdb`; a process without a writable home gets `fallback_home`. A
    file that does not load, such as one of another build, is replaced.
    """
    home = os.environ.get("HOME")
    if not home or not os.access(home, os.W_OK):
        os.environ["HOME"] = str(fallback_home)
    with connect() as connection:
        for name in NAMES:
            duckdb_extensions.import_extension(name, con=connection)
            try:
                connection.load_extension(name)
            except duckdb.Error:
                duckdb_extensions.import_extension(name, force_install=True, con=connection)
                connection.load_extension(name)
