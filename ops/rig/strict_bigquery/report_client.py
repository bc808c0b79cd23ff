"""Asks a strict BigQuery what it has counted."""

import json
import urllib.request
from typing import Any

from ops.rig.strict_bigquery.settled_batches import SettledBatch
from ops.runtime import direct_http


def read_report(address: str) -> dict[str, Any]:
    """Return the report of the strict BigQuery at "host:port"."""
    with direct_http.open_url(f"http://{address}/_strict/report", 10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def read_settled(address: str) -> list[SettledBatch]:
    """Return the batches that were committed since the last reset."""
    with direct_http.open_url(f"http://{address}/_strict/settled", 10) as answer:
        return [SettledBatch(*each) for each in json.load(answer)]


def reset(address: str) -> None:
    """Begin to count from zero."""
    request = urllib.request.Request(f"http://{address}/_strict/report", method="DELETE")
    direct_http.open_url(request, 10).close()
