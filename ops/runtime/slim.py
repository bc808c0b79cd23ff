"""Importing this first keeps Google's BigQuery client from importing what nothing here uses.

Where pyarrow and the Storage API's client are installed (the embedded warehouse needs them), it
imports both, and numpy with them: a quarter of a second, and 37 MB in every process. It does
without where they are missing; None in `sys.modules` is Python's way to say that they are.
"""

import sys

for _name in ("pyarrow", "google.cloud.bigquery_storage", "google.cloud.bigquery_storage_v1"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
