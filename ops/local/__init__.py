"""The embedded stand-ins for the cloud: Pub/Sub, BigQuery and the Pushgateway."""
