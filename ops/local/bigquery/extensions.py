"""DuckDB's extensions, installed from their PyPI packages so that none is ever downloaded."""

import os
from pathlib import Path

import duckdb
import duckdb_extensions

NAMES = ("icu", "ducklake", "spatial")


def install(fallback_home: Path) -> None:
    """Install every extension; raise `duckdb.Error` or `ImportError` if one cannot be loaded.

    DuckDB loads from `$HOME/.duckdb`; a process without a writable home gets `fallback_home`. A
    file that does not load, such as one of another build, is replaced.
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
