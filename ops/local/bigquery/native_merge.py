"""MERGE as one statement of DuckDB's own, also inside a transaction.

local-bigquery 0.3.2 takes a MERGE apart into eight statements and begins a transaction around them,
which fails where one is open already.
"""

from typing import Any

from local_bigquery.jobs import merge, query
from local_bigquery.models import JobStatistics2


def run(cur: Any, tree: Any, context: Any) -> Any:
    """Run a MERGE; the counts by action are not known, only their sum."""
    sql, bound = query.translate(tree, context)
    (count,) = cur.execute(sql, bound).fetchone()
    return JobStatistics2(numDmlAffectedRows=str(count))


def use() -> None:
    """Replace local-bigquery's MERGE."""
    merge.run = run
