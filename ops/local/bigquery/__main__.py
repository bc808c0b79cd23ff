"""`python -m ops.local.bigquery`: the local BigQuery, until SIGTERM.

In the cloud it exits before it imports DuckDB, which an environment for production does not have.
"""

import socket
import sys

from ops.local.launcher import launch
from ops.runtime import addresses, local_secret
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error


def main() -> int:
    return launch("local BigQuery", "local_bigquery", "BIGQUERY_EMULATOR_HOST", _run)


def _run(settings: Settings, listener: socket.socket) -> int:
    import duckdb  # noqa: PLC0415

    from ops.local.bigquery import extensions, service  # noqa: PLC0415
    from ops.local.bigquery.maintenance import KeptDays  # noqa: PLC0415

    directory = settings.state_dir.resolve() / "bigquery"
    dataset = (settings.project_id, settings.dataset_id)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        extensions.install(directory)
        service.run(
            listener,
            directory,
            host=addresses.split(str(settings.bigquery_emulator_host))[0],
            token=local_secret.read_or_create(settings.state_dir, local_secret.BIGQUERY_FILE),
            dataset=dataset,
            kept=KeptDays(settings.ledger_days, settings.rejected_days),
        )
    except (OSError, duckdb.IOException) as error:
        write_error(f"local BigQuery cannot use {directory}: {str(error).splitlines()[0]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
