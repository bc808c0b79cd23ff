"""Asks a strict BigQuery for its report; needs the standard library alone."""

import json
from typing import Any

from ops.runtime import direct_http


def read_report(address: str) -> dict[str, Any]:
    """Return the report of the strict BigQuery at "host:port"."""
    with direct_http.open_url(f"http://{address}/_strict/report", 10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
