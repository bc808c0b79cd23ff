"""Local mode's embedded services: Pub/Sub, BigQuery and the Pushgateway, a process each.

They serve the cloud's own APIs and must not know Gatekeeper: neither server nor workers, only
`ops/runtime`. Nothing imports them; `python -m ops.local.pubsub` and the like run them.
"""
