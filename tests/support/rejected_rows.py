"""Writes rows of `gatekeeper_rejected` as a worker does."""

import hashlib
from collections.abc import Callable

from google.cloud import bigquery

from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import lane_name, rejected_table

type Reject = Callable[..., None]


def rejecter(settings: Settings) -> Reject:
    """Return a function that writes a row with an id of ours, some hours ago."""
    client = clients.warehouse(settings)

    def write(
        id_: str,
        hours: int = 1,
        resolution: str | None = None,
        body: str | None = "{}",
        **texts: str,
    ) -> None:
        lane = int(id_[:2], 16)
        texts = {"reason": "table_missing", "error": "none", "source": "shop", **texts}
        texts |= {"id": id_, "lane": lane_name(lane), "ordering_key": "t"}
        texts["sha256"] = hashlib.sha256((body or "").encode()).hexdigest()
        ago = f"TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {hours} HOUR)"
        values = {name: f"'{text}'" for name, text in texts.items()}
        values |= {"received_at": ago, "settled_at": ago, "body_bytes": str(len(body or ""))}
        if body is not None:
            values["body"] = f"'{body}'"
        if resolution:
            values |= {"resolution": f"'{resolution}'", "resolved_at": ago}
        sql = f"INSERT INTO {rejected_table(lane)} ({', '.join(values)}) "
        config = bigquery.QueryJobConfig(default_dataset=settings.dataset_path)
        client.query_and_wait(f"{sql} VALUES ({', '.join(values.values())})", job_config=config)

    return write
