"""`python -m ops.local.bigquery`: the embedded BigQuery, in local mode."""

import socket
import sys

import duckdb

from ops.local.bigquery import extensions, service
from ops.runtime import log, process


def bind(address: str) -> socket.socket:
    """Return a socket bound to `host:port`, not listening yet; raise OSError where it cannot be."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    except OSError:
        listener.close()
        raise
    return listener


def main() -> int:
    """Serve until SIGTERM; return 1, with one line, where it cannot."""
    settings = process.settings_or_exit()
    address = settings.bigquery_emulator_host
    if not settings.local or address is None:
        sys.stdout.write("local BigQuery is not needed: PROJECT_ID is set\n")
        return 0
    log.setup(process.name("local_bigquery"), settings)
    directory = settings.state_dir.resolve() / "bigquery"
    dataset = (settings.project_id, settings.dataset_id)
    try:
        listener = bind(address)
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
