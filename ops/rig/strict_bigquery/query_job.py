"""A query job: what was submitted, and what has become of it."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ops.rig.strict_bigquery.refusals import Refused


@dataclass(eq=False)
class QueryJob:
    """One job. `resource` is the service's, once the job has run there."""

    project: str
    id: str
    location: str
    configuration: dict[str, Any]
    """The API's JobConfiguration; without the parameters after the end."""
    submitted_at: float
    resource: dict[str, Any] | None = None
    refused: Refused | None = None
    bytes_billed: int = 0
    is_late: bool = False
    is_running_upstream: bool = False
    hidden: bool | None = None
    """Whether the next look-up is answered 404; None before the first duplicate of the job."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def sql(self) -> str:
        text: str = self.configuration["query"].get("query", "")
        return text

    @property
    def default_dataset(self) -> str:
        """The dataset of names without one, as `project.dataset`; "" for none."""
        given = self.configuration["query"].get("defaultDataset") or {}
        dataset = given.get("datasetId", "")
        return f"{given.get('projectId', self.project)}.{dataset}" if dataset else ""

    @cached_property
    def parameters(self) -> dict[str, str | None]:
        """The values of named scalar parameters, by their names without case."""
        return {
            each["name"].casefold(): (each.get("parameterValue") or {}).get("value")
            for each in self.configuration["query"].get("queryParameters") or ()
            if each.get("name")
        }

    @cached_property
    def parameter_types(self) -> dict[str, str]:
        return {
            each["name"].casefold(): (each.get("parameterType") or {}).get("type", "")
            for each in self.configuration["query"].get("queryParameters") or ()
            if each.get("name")
        }

    @property
    def timeout_seconds(self) -> float | None:
        milliseconds = int(self.configuration.get("jobTimeoutMs") or 0)
        return milliseconds / 1000 if milliseconds > 0 else None

    def finish(self) -> None:
        """Forget the parameters, which may be large, and wake those who wait."""
        bare = {**self.configuration["query"], "queryParameters": None}
        self.configuration = {**self.configuration, "query": bare}
        for name in ("parameters", "parameter_types"):
            with contextlib.suppress(AttributeError):
                delattr(self, name)
        self.done.set()

    def as_json(self) -> dict[str, Any]:
        """Return the API's Job."""
        found = dict(self.resource or self._own_resource())
        reference = {"projectId": self.project, "jobId": self.id, "location": self.location}
        statistics = dict(found.get("statistics") or {})
        billed = {"totalBytesBilled": str(self.bytes_billed)}
        statistics["query"] = {**(statistics.get("query") or {}), **billed}
        return {
            **found,
            "id": f"{self.project}:{self.location}.{self.id}",
            "jobReference": reference,
            "statistics": statistics,
        }

    def _own_resource(self) -> dict[str, Any]:
        status: dict[str, Any] = {"state": "DONE" if self.done.is_set() else "RUNNING"}
        if self.refused:
            status |= {"errorResult": self.refused.item, "errors": [self.refused.item]}
        query = {"query": self.sql, "useLegacySql": False}
        created = str(int(self.submitted_at * 1000))
        return {
            "kind": "bigquery#job",
            "configuration": {"jobType": "QUERY", "query": query},
            "status": status,
            "statistics": {"creationTime": created, "startTime": created},
        }
