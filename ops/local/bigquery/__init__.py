"""The embedded BigQuery: local-bigquery in one process, kept fast, small and safe to kill."""
