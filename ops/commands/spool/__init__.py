"""`gatekeeper spool`: what Pub/Sub refused of this machine's spool."""
