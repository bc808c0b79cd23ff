"""No warehouse behind the rules: every table exists, every job that passes succeeds.

For benchmarks of workers: nothing is stored but the epochs of the lanes' heads, so that a commit is
fenced as in BigQuery. A query of a head gives its row.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp

from ops.rig.strict_bigquery.billed_bytes import TableShape
from ops.rig.strict_bigquery.embedded_upstream import shape_of
from ops.rig.strict_bigquery.parsed_script import ParsedStatement
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.transaction_mix import COLUMNS, PARTITIONED_BY, TYPES
from schema import (
    LEDGER_COLUMNS,
    LEDGER_TABLE,
    MAX_LANES,
    REJECTED_COLUMNS,
    REJECTED_TABLE,
    head_table,
    parse_type,
)

STORED_RESULTS: Final = 10_000
_HEADS: Final = frozenset(map(head_table, range(MAX_LANES)))
_NUMBERS: Final = frozenset({"epoch", "lanes", "attempts"})


def _load_fields() -> list[dict[str, str]]:
    """Return the columns of the load as tables.get returns them."""
    found = []
    for name, text in zip(COLUMNS, TYPES, strict=True):
        declared = parse_type(text)
        field = {"name": name, "type": declared.base, "mode": "NULLABLE"}
        if declared.bigquery != declared.base:
            field |= {"precision": str(declared.precision), "scale": str(declared.scale)}
        found.append(field)
    return found


def _fields(table: str) -> list[dict[str, str]]:
    for prefix, columns in ((LEDGER_TABLE, LEDGER_COLUMNS), (REJECTED_TABLE, REJECTED_COLUMNS)):
        if table.startswith(prefix):
            return [{"name": each.name, "type": each.type, "mode": each.mode} for each in columns]
    if table in _HEADS:
        names = ("epoch", "lanes", "suspect", "attempts")
        return [{"name": name, "type": _type(name), "mode": "NULLABLE"} for name in names]
    return _load_fields()


def _type(name: str) -> str:
    return "INTEGER" if name in _NUMBERS else "STRING"


def _is_head(table: str) -> bool:
    return table.rpartition(".")[2] in _HEADS


class NoUpstream:
    """The warehouse of `--alone`, with the heads of `lanes` lanes and any other table.

    The tables of the load are `partitioned` by the day of their time column, or not at all.
    """

    def __init__(self, lanes: int, *, partitioned: bool = False) -> None:
        self._lanes = lanes
        self._missing = {head_table(lane) for lane in range(lanes, MAX_LANES + 1)}
        self._partitioned = partitioned
        self._epochs: defaultdict[str, int] = defaultdict(int)
        self._results: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    async def run(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in statements:
            if each.kind == "UPDATE" and _is_head(each.target):
                self._move(each.target, job, statements)
            elif each.kind == "SELECT":
                found = self._row(each)
        self._results[job.project, job.id] = found
        if len(self._results) > STORED_RESULTS:
            self._results.popitem(last=False)
        kind = "SCRIPT" if len(statements) > 1 else "".join(each.kind for each in statements)
        return {
            "kind": "bigquery#job",
            "configuration": {"jobType": "QUERY", "query": {"query": "", "useLegacySql": False}},
            "status": {"state": "DONE"},
            "statistics": {"query": {"statementType": kind}},
        }

    def _move(self, head: str, job: QueryJob, statements: Sequence[ParsedStatement]) -> None:
        """Move a head's epoch by one, or fail with the script's ASSERT."""
        given = job.parameters.get("epoch")
        if given is not None and int(given) != self._epochs[head]:
            text = next((each.description for each in statements if each.description), "")
            raise Refused("", "invalidQuery", f"Assertion failed: {text}")
        self._epochs[head] += 1

    def _row(self, statement: ParsedStatement) -> dict[str, Any]:
        """Return the answer to a query: a head's row, or none."""
        heads = [name for name in statement.tables if _is_head(name)]
        if len(heads) != 1 or not isinstance(statement.tree, exp.Select):
            return {}
        values = {"epoch": self._epochs[heads[0]], "lanes": self._lanes}
        names = [each.alias_or_name for each in statement.tree.expressions]
        cells = [{"v": str(values[name]) if name in values else None} for name in names]
        fields = [{"name": name, "type": _type(name), "mode": "NULLABLE"} for name in names]
        return {"schema": {"fields": fields}, "rows": [{"f": cells}], "totalRows": "1"}

    def results(self, job: QueryJob) -> dict[str, Any]:
        """Return the rows of a job that is done, in the API's form."""
        return self._results.get((job.project, job.id), {})

    async def shape(self, table: str) -> TableShape | None:
        name = table.rpartition(".")[2]
        return shape_of(self._table(name))

    def _table(self, name: str) -> dict[str, Any]:
        """Return what tables.get has of a table: its columns and its partitioning."""
        found: dict[str, Any] = {"schema": {"fields": _fields(name)}}
        if name.startswith(LEDGER_TABLE):
            found["timePartitioning"] = {"type": "HOUR", "field": "settled_at"}
        elif name.startswith(REJECTED_TABLE):
            found["timePartitioning"] = {"type": "DAY", "field": "settled_at"}
        elif self._partitioned and name not in _HEADS:
            found["timePartitioning"] = {"type": "DAY", "field": PARTITIONED_BY}
        return found

    async def cancel(self, job: QueryJob) -> None:
        """Do nothing: a job here takes no time."""

    def resource(self, path: str) -> dict[str, Any] | None:
        """Answer a look-up of a dataset or a table; None for anything else."""
        match path.strip("/").split("/")[3:]:
            case [project, "datasets", dataset]:
                reference = {"projectId": project, "datasetId": dataset}
                return {"kind": "bigquery#dataset", "datasetReference": reference, "location": ""}
            case [project, "datasets", dataset, "tables", table] if table not in self._missing:
                reference = {"projectId": project, "datasetId": dataset, "tableId": table}
                return {"tableReference": reference, **self._table(table)}
        return None
