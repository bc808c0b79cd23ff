"""MERGE as statements of DuckDB's own, also inside a transaction.

local-bigquery 0.3.2 takes a MERGE apart into eight statements and begins a transaction around them,
which fails where one is open already. DuckLake takes one UPDATE or DELETE in a MERGE, so that one
with both becomes two: first it deletes, then it does the rest. That is the same as long as no row
of the source may both delete and insert, as none does of the workers' statements.
"""

from collections.abc import Callable, Iterator
from typing import Any

from local_bigquery.jobs import merge, query
from local_bigquery.models import JobStatistics2
from sqlglot import exp

from ops.local.bigquery.parsed_trees import SOURCE_TEXT


def run(cur: Any, tree: Any, context: Any) -> Any:
    """Run a MERGE; the counts by action are not known, only their sum."""
    total = 0
    for part in _parts(tree):
        sql, bound = query.translate(part, context)
        (count,) = cur.execute(sql, bound).fetchone()
        total += count
    return JobStatistics2(numDmlAffectedRows=str(total))


def _parts(tree: Any) -> Iterator[Any]:
    clauses = tree.args["whens"].expressions
    deleting = [_deletes(each) for each in clauses]
    if not any(deleting) or not any(_updates(each) for each in clauses):
        yield tree
        return
    yield _part(tree, "deletes", _deletes)
    yield _part(tree, "updates and inserts", lambda clause: not _deletes(clause))


def _part(tree: Any, name: str, chosen: Callable[[Any], bool]) -> Any:
    part = tree.copy()
    whens = part.args["whens"]
    whens.set("expressions", [each for each in whens.expressions if chosen(each)])
    if source := tree.meta.get(SOURCE_TEXT):
        part.meta[SOURCE_TEXT] = f"{source} -- {name}"  # else it would have the whole's translation
    return part


def _updates(clause: Any) -> bool:
    return isinstance(clause.args["then"], exp.Update)


def _deletes(clause: Any) -> bool:
    return isinstance(clause.args["then"], exp.Var) and clause.args["then"].name == "DELETE"


def use() -> None:
    """Replace local-bigquery's MERGE."""
    merge.run = run
