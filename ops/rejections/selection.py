"""Which rejected transactions are meant. Pure."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from schema import Reason


class Selection(NamedTuple):
    """At most `limit`; without ids and conditions, all. Conditions hold together."""

    limit: int
    ids: Collection[str] = ()
    source: str | None = None
    table: str | None = None
    reason: Reason | None = None
    since: datetime | None = None

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """SQL conditions on rows of `gatekeeper_rejected`, each with its parameter's value."""
        found = {}
        if self.ids:
            found["ids"] = ("id IN UNNEST(JSON_VALUE_ARRAY(@ids))", json.dumps(list(self.ids)))
        if self.source is not None:
            found["source"] = ("source = @source", self.source)
        if self.table:
            found["table"] = ("@table IN UNNEST(SPLIT(tables))", self.table)
        if self.reason:
            found["reason"] = ("reason = @reason", self.reason.value)
        if self.since:
            condition = "settled_at >= CAST(@since AS TIMESTAMP)"
            found["since"] = (condition, self.since.isoformat(" "))
        return found
