"""A BigQuery client of one address, as the fleet's own is in local mode."""

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


def connect(address: str) -> bigquery.Client:
    return bigquery.Client(
        project="gatekeeper-local",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"http://{address}"},
    )
