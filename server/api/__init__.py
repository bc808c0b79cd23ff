"""The HTTP API: its routes, what they validate, and how they answer.

Publishes through `server.publish`; must not know how connections, limits and bodies work
(`server.http`), nor how a transaction reaches BigQuery.
"""

from typing import Final

from server.api import activities, batch, health, openapi, status
from server.api.activities import INGEST, Ingest
from server.api.health import READINESS, Readiness
from server.api.openapi import DOCUMENT, render_document
from server.api.responses import HEADERS, render_refusal
from server.api.route import Route
from server.api.status import LEDGER, open_ledger, transaction_id

ROUTES: Final = (
    *activities.ROUTES,
    *batch.ROUTES,
    *status.ROUTES,
    *health.ROUTES,
    *openapi.ROUTES,
)

__all__ = [
    "DOCUMENT",
    "HEADERS",
    "INGEST",
    "LEDGER",
    "READINESS",
    "ROUTES",
    "Ingest",
    "Readiness",
    "Route",
    "open_ledger",
    "render_document",
    "render_refusal",
    "transaction_id",
]
