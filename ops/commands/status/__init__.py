"""`gatekeeper status`: one page from supervisord, the Pushgateway, Pub/Sub and BigQuery."""
