"""The extensions of the embedded database's own, and no others, are loaded."""

from pathlib import Path

import duckdb
import pytest

from ops.local.bigquery import confinement, extensions


def test_every_extension_loads_and_no_other_file_does_after_the_lock(tmp_path: Path) -> None:
    extensions.install(tmp_path)
    (other := tmp_path / "other.duckdb_extension").write_bytes(b"not an extension")
    with extensions.connect() as connection:
        for name in extensions.NAMES:
            connection.load_extension(name)
        confinement.lock(connection)
        with pytest.raises(duckdb.PermissionException, match="disabled through configuration"):
            connection.execute(f"LOAD '{other}'")
