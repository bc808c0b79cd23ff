"""DuckDB's extensions, put in place from their PyPI packages so that none is ever downloaded."""

import os
from pathlib import Path

import duckdb
import duckdb_extensions

NAMES = ("icu", "ducklake", "spatial")


def install(fallback_home: Path) -> None:
    """Make every extension loadable; raise `duckdb.Error` or `ImportError` where one is not.

    DuckDB looks below `$HOME/.duckdb`; a process without a writable home gets `fallback_home`. A
    file that does not load, as one of another build, is replaced.
    """
    home = os.environ.get("HOME")
    if not home or not os.access(home, os.W_OK):
        os.environ["HOME"] = str(fallback_home)
    with duckdb.connect() as connection:
        for name in NAMES:
            duckdb_extensions.import_extension(name, con=connection)
            try:
                connection.load_extension(name)
            except duckdb.Error:
                duckdb_extensions.import_extension(name, force_install=True, con=connection)
                connection.load_extension(name)
