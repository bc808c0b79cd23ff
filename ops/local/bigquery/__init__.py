"""The local BigQuery: local-bigquery 0.3.2 in one process, its jobs, errors and SQL changed.

Maintenance keeps the database small and fast; a kill at any moment is safe. It must not know
Gatekeeper's own SQL, except that the ledger's rows expire.
"""
