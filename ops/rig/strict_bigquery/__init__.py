"""A proxy that makes the embedded BigQuery as strict, as slow and as dear as the documented one.

`python -m ops.rig.strict_bigquery HOST:PORT --upstream HOST:PORT`, or `--alone` without any storage
for benchmarks. Each rule has its documentation page next to it; `documented_rules` lists them. A
script is held for as long as its statements would take, and then runs upstream as a whole. So it
reads what is committed at its end, not at its beginning; statements outside a transaction take
effect together; both branches of an IF count.
It must not know Gatekeeper's SQL, except for the lanes' heads with `--alone`.
"""

from ops.rig.strict_bigquery.report_client import read_report, read_settled, reset
from ops.rig.strict_bigquery.settled_batches import SettledBatch

__all__ = ["SettledBatch", "read_report", "read_settled", "reset"]
