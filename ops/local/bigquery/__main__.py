"""`python -m ops.local.bigquery`: the embedded BigQuery, in local mode."""

import sys

import duckdb

from ops.local.bigquery import extensions, service
from ops.local.listener import bind, split_address
from ops.runtime import log, process


def main() -> int:
    """Serve until SIGTERM; return 1, with one line on stderr, if that is not possible."""
    settings = process.settings_or_exit()
    address = settings.bigquery_emulator_host
    if not settings.local or address is None:
        sys.stdout.write("local BigQuery is not needed: PROJECT_ID is set\n")
        return 0
    log.setup(process.name("local_bigquery"), settings)
    directory = settings.state_dir.resolve() / "bigquery"
    dataset = (settings.project_id, settings.dataset_id)
    try:
        listener = bind(*split_address(address))
    except OSError as error:
        sys.stderr.write(
            f"local BigQuery cannot listen on {address} (BIGQUERY_EMULATOR_HOST): "
            f"{error.strerror}\n"
        )
        return 1
    try:
        directory.mkdir(parents=True, exist_ok=True)
        extensions.install(directory)
        service.run(listener, directory, dataset, settings.ledger_days)
    except (OSError, duckdb.IOException) as error:
        sys.stderr.write(f"local BigQuery cannot use {directory}: {str(error).splitlines()[0]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
