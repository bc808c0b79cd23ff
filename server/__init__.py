"""The gate: takes transactions over HTTP, checks them, hands them to Pub/Sub, answers a verdict."""
